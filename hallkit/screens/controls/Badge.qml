// A short word with the shape and colour of its tone.
import QtQuick

Rectangle {
    id: badge

    property string text
    property string tone: "plain"
    property int textSize: ScreenMetrics.caption
    readonly property var looks: ({
            "plain": [Tokens.primary, Tokens.primaryTint, ""],
            "done": [Tokens.done, Tokens.doneTint, "check"],
            "attention": [Tokens.attention, Tokens.attentionTint, "attention"],
            "fault": [Tokens.fault, Tokens.faultTint, "close"]
        })
    readonly property var look: looks[tone] ?? looks.plain

    color: look[1]
    implicitHeight: visible ? word.implicitHeight + 2 * ScreenMetrics.hair : 0
    implicitWidth: visible ? row.width + 2 * ScreenMetrics.snug : 0
    radius: ScreenMetrics.tight
    visible: text !== ""

    Row {
        id: row

        anchors.centerIn: parent
        spacing: ScreenMetrics.hair

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
            size: badge.textSize
            spoken: false
            strong: true
            words: badge.text
            wrapMode: Text.NoWrap
        }
    }
}
