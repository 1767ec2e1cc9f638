// The service is away: the last page stays, under a clear message. Short gaps show nothing.
import QtQuick
import hallkit.screens.controls

Item {
    id: cover

    required property bool lost
    required property bool hasPage
    required property string title
    required property string text

    visible: lost

    // The page can't be touched from the first moment on.
    MultiPointTouchArea {
        anchors.fill: parent
        mouseEnabled: true
    }

    Rectangle {
        anchors.fill: parent
        color: cover.hasPage ? Tokens.scrim : Tokens.paper
        visible: patience.done

        Rectangle {
            anchors.centerIn: parent
            color: Tokens.surface
            height: message.height + 2 * ScreenMetrics.margin
            radius: ScreenMetrics.radius
            visible: cover.title !== ""
            width: Math.min(parent.width - 2 * ScreenMetrics.margin, ScreenMetrics.dialog)

            Row {
                id: message

                spacing: ScreenMetrics.gutter
                width: parent.width - 2 * ScreenMetrics.margin
                x: ScreenMetrics.margin
                y: ScreenMetrics.margin

                Icon {
                    color: Tokens.primary
                    name: "retry"
                    size: ScreenMetrics.mm(Tokens.sizeIconSymbol)
                }

                Column {
                    spacing: ScreenMetrics.unit
                    width: parent.width - x

                    HallText {
                        size: ScreenMetrics.title
                        strong: true
                        words: cover.title
                        width: parent.width
                        Accessible.role: Accessible.AlertMessage
                    }

                    HallText {
                        color: Tokens.muted
                        words: cover.text
                        visible: words !== ""
                        width: parent.width
                    }
                }
            }
        }
    }

    Timer {
        id: patience

        property bool done: false

        interval: Tokens.motionWaiting
        running: cover.lost

        onRunningChanged: if (running)
            done = false
        onTriggered: done = true
    }
}
