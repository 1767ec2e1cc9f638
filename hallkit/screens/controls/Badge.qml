// A short word with the shape and colour of its tone.
import QtQuick

Rectangle {
    id: badge

    property string text
    property string tone: "plain"
    readonly property var looks: ({
            "plain": [Tokens.primary, Tokens.primaryTint, ""],
            "done": [Tokens.done, Tokens.doneTint, "check"],
            "attention": [Tokens.attention, Tokens.attentionTint, "attention"],
            "fault": [Tokens.fault, Tokens.faultTint, "close"]
        })
    readonly property var look: looks[tone] ?? looks.plain

    color: look[1]
    implicitHeight: visible ? word.implicitHeight + 2 * ScreenMetrics.mm(0.8) : 0
    implicitWidth: visible ? row.width + 2 * ScreenMetrics.mm(3) : 0
    radius: ScreenMetrics.mm(2)
    visible: text !== ""

    Row {
        id: row

        anchors.centerIn: parent
        spacing: ScreenMetrics.mm(1.5)

        Icon {
            anchors.verticalCenter: parent.verticalCenter
            color: badge.look[0]
            name: badge.look[2]
            size: Math.round(word.size * 0.85)
            weight: 2.6
        }

        HallText {
            id: word

            objectName: "badge"
            color: badge.look[0]
            size: ScreenMetrics.caption
            spoken: false
            strong: true
            text: badge.text
            wrapMode: Text.NoWrap
        }
    }
}
