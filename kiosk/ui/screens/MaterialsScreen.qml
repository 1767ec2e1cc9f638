// What to bring: one line each, what is waived marked at the edge.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    NoticeBar {
        id: notice

        detail: page.view.notice.detail ?? ""
        height: implicitHeight
        text: page.view.notice.text ?? ""
        tone: page.view.notice.tone ?? "plain"
        width: parent.width
    }

    Overflow {
        id: area

        earlierLabel: page.view.earlier
        height: page.height - y - (pager.visible ? pager.height + ScreenMetrics.gutter : 0)
        laterLabel: page.view.later
        wide: page.wide
        needed: list.naturalHeight
        width: parent.width
        y: notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0

        RowList {
            id: list

            available: area.height
            height: implicitHeight
            rows: page.view.rows
            width: parent.width
        }
    }

    Pager {
        id: pager

        anchors.bottom: parent.bottom
        height: implicitHeight
        next: page.view.next
        previous: page.view.previous
        text: page.view.pagerText
        width: parent.width

        onActivated: action => page.view.tap(action)
    }
}
