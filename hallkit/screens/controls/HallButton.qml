// A verb and its object on a button. `kind`: primary, secondary or quiet (in a band).
import QtQuick

Pressable {
    id: button

    property string icon
    property string kind: "secondary"
    property int textSize: ScreenMetrics.lead
    property bool stacked: false
    readonly property bool primary: kind === "primary"
    readonly property color inkColor: !enabled ? Tokens.muted : primary ? Tokens.inverse : Tokens.primary
    readonly property int padding: kind === "quiet" ? ScreenMetrics.mm(2) : ScreenMetrics.gutter
    readonly property int between: ScreenMetrics.mm(stacked ? 1 : 3)

    implicitHeight: Math.max(ScreenMetrics.target, content.height + 2 * ScreenMetrics.mm(2))
    implicitWidth: content.wishedWidth + 2 * padding

    Rectangle {
        id: face

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

        readonly property int besides: symbol.drawn && !button.stacked ? symbol.size + button.between : 0
        readonly property real wishedWidth: Math.max(caption.implicitWidth, button.stacked ? symbol.implicitWidth : 0) + besides

        anchors.centerIn: parent
        height: button.stacked ? symbol.implicitHeight + button.between + caption.height : Math.max(symbol.implicitHeight, caption.height)
        width: caption.width + besides

        Icon {
            id: symbol

            color: button.inkColor
            name: button.icon
            size: Math.round(button.textSize * 1.1)
            x: button.stacked ? (content.width - width) / 2 : 0
            y: button.stacked ? 0 : (content.height - height) / 2
        }

        HallText {
            id: caption

            objectName: "caption"
            color: button.inkColor
            horizontalAlignment: button.stacked || lineCount > 1 ? Text.AlignHCenter : Text.AlignLeft
            size: button.textSize
            spoken: false
            strong: button.kind !== "quiet"
            text: button.label
            width: Math.min(implicitWidth, button.width - 2 * button.padding - content.besides)
            x: content.besides
            y: content.height - height - (button.stacked ? 0 : (content.height - height) / 2)
        }
    }
}
