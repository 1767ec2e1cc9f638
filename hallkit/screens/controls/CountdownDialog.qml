// Is somebody still there? Staying is the wide button; the seconds run large.
import QtQuick

Rectangle {
    id: dialog

    required property var countdown

    signal activated(action: var)

    color: Tokens.scrim
    visible: countdown.text !== undefined

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
        width: Math.min(parent.width - 2 * ScreenMetrics.margin, ScreenMetrics.dialog)

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
                width: parent.width
                words: dialog.countdown.text ?? ""

                Accessible.role: Accessible.AlertMessage
            }

            HallText {
                objectName: "seconds"
                color: Tokens.primary
                size: ScreenMetrics.mm(Tokens.typeNumeral)
                spoken: false
                strong: true
                words: dialog.countdown.seconds_left ?? ""
            }

            ActionZone {
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
