// A key of the screen's keyboard.
import QtQuick

Pressable {
    id: key

    property string icon
    property bool capitals: true
    property int textSize: ScreenMetrics.mm(Tokens.sizeKeyLetter)
    readonly property bool iconFits: symbol.size + ScreenMetrics.tight + caption.implicitWidth + 2 * ScreenMetrics.snug <= width

    cornerRadius: ScreenMetrics.radiusSmall

    Rectangle {
        anchors.fill: parent
        border.color: key.down ? Tokens.primary : key.enabled ? Tokens.edge : Tokens.line
        border.width: ScreenMetrics.border
        color: key.down ? Tokens.primary : key.enabled ? Tokens.surface : Tokens.paper
        radius: key.cornerRadius
    }

    Row {
        anchors.centerIn: parent
        spacing: ScreenMetrics.tight

        Icon {
            id: symbol

            anchors.verticalCenter: parent.verticalCenter
            color: caption.color
            name: key.iconFits ? key.icon : ""
            size: caption.size
        }

        HallText {
            id: caption

            objectName: "caption"
            color: key.down ? Tokens.inverse : key.enabled ? Tokens.ink : Tokens.muted
            font.capitalization: key.capitals ? Font.AllUppercase : Font.MixedCase
            size: key.textSize
            spoken: false
            strong: true
            words: key.label
            wrapMode: Text.NoWrap
        }
    }
}
