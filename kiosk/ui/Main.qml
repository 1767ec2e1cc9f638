// The window: the bands that stand on every screen, and the page between them.
//
// A view's `screen` names a file in `screens/`; adding a screen is adding that file.
import QtQuick
import QtQuick.Window
import hallkit.screens.controls
import kiosk.ui
import "screens"

Window {
    id: window

    required property KioskView view
    readonly property bool wide: width > height
    readonly property int margin: ScreenMetrics.margin

    function source(screen: string): url {
        if (screen === "")
            return "";
        return Qt.resolvedUrl("screens/" + screen.charAt(0).toUpperCase() + screen.slice(1) + "Screen.qml");
    }

    // What the page says of itself; a page may bring its own header.
    readonly property bool ownHeader: (content.item as Page)?.ownHeader ?? false

    // A finger that taps twice must not hit what just slid under it.
    function act(action: var): void {
        if (!slide.running)
            view.tap(action);
    }

    color: Tokens.paper
    flags: Qt.FramelessWindowHint
    visible: false

    Binding {
        property: "large"
        target: ScreenMetrics
        value: window.view.largeType
    }

    StatusBand {
        id: status

        hallName: window.view.hallName
        height: implicitHeight
        noticeDetail: window.view.machineNotice.detail ?? ""
        noticeText: window.view.machineNotice.text ?? ""
        noticeTone: window.view.machineNotice.tone ?? "plain"
        timeText: window.view.timeText
        visible: hallName !== ""
        waitsText: window.view.waitsText
        wide: window.wide
        width: window.width
    }

    Item {
        id: page

        readonly property int inner: width - 2 * window.margin

        anchors.bottom: help.top
        anchors.top: status.bottom
        clip: slide.running
        width: window.width

        Item {
            id: sheet

            height: page.height
            width: page.width

            StepHeader {
                id: header

                step: window.view.stepText
                title: window.view.title
                why: window.view.why
                wide: window.wide
                width: page.inner
                x: window.margin
                visible: !window.ownHeader
                y: window.wide ? ScreenMetrics.unit : ScreenMetrics.margin
            }

            Loader {
                id: content

                height: actions.y - y - (actions.height > 0 ? ScreenMetrics.gutter : 0)
                width: page.inner
                x: window.margin
                y: header.y + (window.ownHeader ? 0 : header.height + (window.wide ? ScreenMetrics.unit : ScreenMetrics.section))

                Binding {
                    property: "enabled"
                    target: content
                    value: window.view.connected
                }
            }

            ActionZone {
                id: actions

                back: window.view.back
                enabled: window.view.connected
                height: implicitHeight
                primary: window.view.primary
                secondary: window.view.secondary
                wide: window.wide
                width: page.inner
                x: window.margin
                y: page.height - height - (height > 0 || !window.wide ? ScreenMetrics.gutter : ScreenMetrics.unit)

                onActivated: action => window.act(action)
            }
        }

        ParallelAnimation {
            id: slide

            NumberAnimation {
                duration: ScreenMetrics.slide
                easing.type: Easing.OutCubic
                from: window.view.direction * page.width * 0.12
                property: "x"
                target: sheet
                to: 0
            }

            NumberAnimation {
                duration: ScreenMetrics.fade
                easing.type: Easing.OutCubic
                from: 0
                property: "opacity"
                target: sheet
                to: 1
            }
        }
    }

    HelpBand {
        id: help

        actions: window.view.help
        anchors.bottom: parent.bottom
        enabled: window.view.connected
        height: implicitHeight
        stacked: ScreenMetrics.large && !window.wide
        width: window.width

        onActivated: action => window.act(action)
    }

    CountdownDialog {
        anchors.fill: parent
        countdown: window.view.countdown

        onActivated: action => window.act(action)
    }

    RecoveringCover {
        anchors.fill: parent
        hasPage: window.view.screen !== ""
        lost: !window.view.connected
        text: window.view.recoveringText
        title: window.view.recoveringTitle
    }

    Connections {
        function onPlace_changed(): void {
            const next = window.source(window.view.screen);
            const first = content.status === Loader.Null;
            if (content.source !== next)
                content.setSource(next, {
                    "view": window.view,
                    "wide": Qt.binding(() => window.wide)
                });
            if (!first && ScreenMetrics.slide > 0)
                slide.restart();
        }

        target: window.view
    }
}
