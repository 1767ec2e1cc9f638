// A verb and its object on a button. `kind`: primary, secondary or quiet (in a band).
import QtQuick

Pressable {
    id: button

    property string icon
    property bool iconLast: false
    property string kind: "secondary"
    property int textSize: ScreenMetrics.lead
    property bool stacked: false
    readonly property bool primary: kind === "primary"
    readonly property color inkColor: !enabled ? Tokens.muted : primary ? Tokens.inverse : Tokens.primary
    readonly property int padding: kind === "quiet" ? ScreenMetrics.tight : ScreenMetrics.gutter
    readonly property int between: stacked ? ScreenMetrics.hair : ScreenMetrics.snug

    implicitHeight: Math.max(ScreenMetrics.target, content.height + 2 * ScreenMetrics.tight)
    implicitWidth: content.wished + 2 * padding

    Rectangle {
        anchors.fill: parent
        border.color: !button.enabled ? Tokens.line : button.primary ? color : Tokens.primary
        border.width: button.kind === "quiet" ? 0 : ScreenMetrics.border
        color: {
            if (!button.enabled)
                return button.kind === "quiet" ? "transparent" : Tokens.paper;
            if (button.primary)
                return button.down ? Tokens.primaryPressed : Tokens.primary;
            if (button.down)
                return Tokens.primaryTint;
            return button.kind === "quiet" ? "transparent" : Tokens.surface;
        }
        radius: button.cornerRadius
    }

    Item {
        id: content

        readonly property int beside: symbol.drawn && !button.stacked ? symbol.size + (button.label === "" ? 0 : button.between) : 0
        readonly property real wished: Math.ceil(Math.max(caption.implicitWidth, button.stacked ? symbol.implicitWidth : 0)) + beside

        anchors.centerIn: parent
        height: button.stacked ? symbol.implicitHeight + button.between + caption.height : Math.max(symbol.implicitHeight, caption.height)
        width: (button.label === "" ? 0 : caption.width) + beside

        Icon {
            id: symbol

            color: button.inkColor
            name: button.icon
            size: Math.round(button.textSize * 1.1)
            x: button.stacked ? (content.width - width) / 2 : button.iconLast ? content.width - width : 0
            y: button.stacked ? 0 : (content.height - height) / 2
        }

        HallText {
            id: caption

            objectName: "caption"
            color: button.inkColor
            horizontalAlignment: lineCount > 1 ? Text.AlignHCenter : Text.AlignLeft
            size: button.textSize
            spoken: false
            strong: button.kind !== "quiet"
            width: Math.min(Math.ceil(implicitWidth), button.width - 2 * button.padding - content.beside)
            words: button.label
            x: button.stacked || button.iconLast ? 0 : content.beside
            y: button.stacked ? content.height - height : (content.height - height) / 2
        }
    }
}
