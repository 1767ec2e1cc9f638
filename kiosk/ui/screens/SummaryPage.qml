// A few facts, and a notice below them (beside them, if wide) when something stands in the way.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property bool noticed: view.notice.text !== undefined
    readonly property bool beside: wide && noticed && list.visible

    Overflow {
        id: area

        readonly property int noticePart: page.noticed ? notice.implicitHeight + ScreenMetrics.gutter : 0
        readonly property int listPart: page.beside ? 0 : noticePart

        anchors.fill: parent
        earlierLabel: page.view.earlier
        laterLabel: page.view.later
        needed: page.beside ? Math.max(list.naturalHeight, notice.implicitHeight) : list.naturalHeight + noticePart
        wide: page.wide

        RowList {
            id: list

            available: area.height - area.listPart
            height: implicitHeight
            roomy: !ScreenMetrics.large && !page.wide
            rows: page.view.rows
            summary: true
            width: page.beside ? Math.floor(parent.width * 0.6) : parent.width
        }

        NoticeBar {
            id: notice

            detail: page.view.notice.detail ?? ""
            height: implicitHeight
            text: page.view.notice.text ?? ""
            tone: page.view.notice.tone ?? "plain"
            width: parent.width - x
            x: page.beside ? list.width + ScreenMetrics.gutter : 0
            y: page.beside || !list.visible ? 0 : list.height + ScreenMetrics.gutter
        }
    }
}
