// Put the card on the reader: shown by a drawing, said by the title above.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property int foot: Math.max(progress.height, 0) + (notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0)

    CardOnReader {
        height: page.height - page.foot - (page.foot > 0 ? ScreenMetrics.gutter : 0)
        moving: page.view.notice.text === undefined
        width: page.width
    }

    HallText {
        id: progress

        objectName: "progress"
        anchors.bottom: notice.top
        anchors.bottomMargin: notice.height > 0 ? ScreenMetrics.gutter : 0
        color: Tokens.primary
        height: words === "" ? 0 : implicitHeight
        horizontalAlignment: Text.AlignHCenter
        size: ScreenMetrics.title
        strong: true
        words: page.view.progressText
        visible: words !== ""
        width: parent.width
    }

    NoticeBar {
        id: notice

        anchors.bottom: parent.bottom
        detail: page.view.notice.detail ?? ""
        height: implicitHeight
        text: page.view.notice.text ?? ""
        tone: page.view.notice.tone ?? "plain"
        width: parent.width
    }
}
