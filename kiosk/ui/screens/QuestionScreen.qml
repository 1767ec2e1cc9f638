// One question, at most six answers.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property int count: view.choices.length

    NoticeBar {
        id: notice

        detail: page.view.notice.detail ?? ""
        height: implicitHeight
        text: page.view.notice.text ?? ""
        tone: page.view.notice.tone ?? "plain"
        width: parent.width
    }

    Overflow {
        earlierLabel: page.view.earlier
        height: page.height - y - (pager.visible ? pager.height + ScreenMetrics.gutter : 0)
        laterLabel: page.view.later
        wide: page.wide
        needed: answers.implicitHeight
        width: parent.width
        y: notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0

        ChoiceGrid {
            id: answers

            choices: page.view.choices
            columns: page.wide && page.count > 2 ? 2 : 1
            height: parent.height
            roomy: !ScreenMetrics.large
            width: parent.width

            onChosen: value => page.view.choose(value)
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
