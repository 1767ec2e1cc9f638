// A key of the screen's keyboard.
import QtQuick

Pressable {
    id: key

    property string icon
    property bool capitals: true
    property int textSize: ScreenMetrics.mm(ScreenMetrics.large ? 14 : 12)

    cornerRadius: ScreenMetrics.mm(3)

    Rectangle {
        anchors.fill: parent
        border.color: key.down ? Tokens.primary : key.enabled ? Tokens.edge : Tokens.line
        border.width: ScreenMetrics.border
        color: key.down ? Tokens.primary : key.enabled ? Tokens.surface : Tokens.paper
        radius: key.cornerRadius
    }

    Row {
        anchors.centerIn: parent
        spacing: ScreenMetrics.mm(2)

        Icon {
            anchors.verticalCenter: parent.verticalCenter
            color: caption.color
            name: key.icon
            size: Math.round(caption.size * 1.05)
        }

        HallText {
            id: caption

            objectName: "caption"
            color: key.down ? Tokens.inverse : key.enabled ? Tokens.ink : Tokens.muted
            font.capitalization: key.capitals ? Font.AllUppercase : Font.MixedCase
            size: key.textSize
            spoken: false
            strong: true
            text: key.label
            wrapMode: Text.NoWrap
        }
    }
}
