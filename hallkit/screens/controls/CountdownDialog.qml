// Is somebody still there? Staying is the wide button; the seconds run large.
import QtQuick

Rectangle {
    id: dialog

    required property var countdown
    readonly property bool open: countdown.text !== undefined
    // Counts on by itself between two views of the service.
    property int secondsLeft: 0

    signal activated(action: var)

    function begin(): void {
        secondsLeft = countdown.seconds_left ?? 0;
        if (open)
            tick.restart();
        else
            tick.stop();
    }

    color: Tokens.scrim
    visible: open

    Component.onCompleted: begin()
    onCountdownChanged: begin()

    Timer {
        id: tick

        interval: 1000
        repeat: true

        onTriggered: dialog.secondsLeft = Math.max(0, dialog.secondsLeft - 1)
    }

    // Nothing behind the question can be touched.
    MultiPointTouchArea {
        anchors.fill: parent
        mouseEnabled: true
    }

    Rectangle {
        anchors.centerIn: parent
        color: Tokens.surface
        height: body.height + 2 * ScreenMetrics.margin
        radius: ScreenMetrics.radius
        width: Math.min(parent.width - 2 * ScreenMetrics.margin, ScreenMetrics.mm(ScreenMetrics.large ? 360 : 300))

        Column {
            id: body

            spacing: ScreenMetrics.gutter
            width: parent.width - 2 * ScreenMetrics.margin
            x: ScreenMetrics.margin
            y: ScreenMetrics.margin

            HallText {
                objectName: "countdownText"
                size: ScreenMetrics.title
                strong: true
                text: dialog.countdown.text ?? ""
                width: parent.width
                Accessible.role: Accessible.AlertMessage
            }

            HallText {
                objectName: "seconds"
                color: Tokens.primary
                size: ScreenMetrics.mm(40)
                strong: true
                text: dialog.secondsLeft
            }

            ActionZone {
                id: answers

                back: dialog.countdown.leave ?? ({})
                height: implicitHeight
                primary: dialog.countdown.stay ?? ({})
                secondary: ({})
                width: parent.width

                onActivated: action => dialog.activated(action)
            }
        }
    }
}
