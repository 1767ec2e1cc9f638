// A short word with the shape and colour of its tone.
import QtQuick

Rectangle {
    id: badge

    property string text
    property string tone: "plain"
    property int textSize: ScreenMetrics.caption

    color: Tones.tint(badge.tone)
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
            color: Tones.ink(badge.tone)
            name: badge.tone === "plain" ? "" : Tones.icon(badge.tone)
            size: Math.round(word.size * 0.85)
            weight: 2.6
        }

        HallText {
            id: word

            objectName: "badge"
            color: Tones.ink(badge.tone)
            size: badge.textSize
            spoken: false
            strong: true
            words: badge.text
            wrapMode: Text.NoWrap
        }
    }
}
