// A few facts, and a notice below them when something stands in the way.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    Overflow {
        id: area

        anchors.fill: parent
        earlierLabel: page.view.earlier
        laterLabel: page.view.later
        needed: list.naturalHeight + (notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0)

        RowList {
            id: list

            available: area.height - (notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0)
            height: implicitHeight
            rows: page.view.rows
            roomy: !ScreenMetrics.large && !page.wide
            summary: true
            width: parent.width
        }

        NoticeBar {
            id: notice

            detail: page.view.notice.detail ?? ""
            height: implicitHeight
            text: page.view.notice.text ?? ""
            tone: page.view.notice.tone ?? "plain"
            width: parent.width
            y: list.visible ? list.height + ScreenMetrics.gutter : 0
        }
    }
}
