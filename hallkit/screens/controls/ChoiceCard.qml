// A choice is a whole card. `tile`: icon above the words, for the entrances of the home screen.
import QtQuick

Pressable {
    id: card

    property string icon
    property string badge
    property string badgeTone: "plain"
    property bool tile: false
    property bool chevron: true
    property int titleSize: tile ? ScreenMetrics.title : ScreenMetrics.lead
    readonly property int padding: ScreenMetrics.gutter
    readonly property int between: ScreenMetrics.mm(tile ? 5 : 4)
    readonly property int wordsHeight: words.height
    readonly property color inkColor: enabled ? Tokens.ink : Tokens.muted

    // A screen reader hears the badge with the detail.
    Accessible.description: [badge, detail].filter(part => part !== "").join(", ")

    implicitHeight: {
        const inner = tile ? Math.max(symbol.implicitHeight, tag.implicitHeight) + between + words.height : Math.max(symbol.implicitHeight, words.height);
        return Math.max(ScreenMetrics.target, inner + 2 * (tile ? padding : ScreenMetrics.mm(4)));
    }

    Rectangle {
        anchors.fill: parent
        border.color: card.down ? Tokens.primary : card.enabled ? Tokens.edge : Tokens.line
        border.width: ScreenMetrics.border
        color: !card.enabled ? Tokens.paper : card.down ? Tokens.primaryTint : Tokens.surface
        radius: card.cornerRadius
    }

    Icon {
        id: symbol

        color: card.enabled ? Tokens.primary : Tokens.muted
        name: card.icon
        size: Math.round(ScreenMetrics.mm(card.tile ? 22 : 13) * (ScreenMetrics.large ? 1.2 : 1))
        weight: card.tile ? 1.5 : 1.8
        x: card.padding
        y: card.tile ? card.padding : (card.height - height) / 2
    }

    Column {
        id: words

        readonly property int start: card.tile ? card.padding : card.padding + (symbol.drawn ? symbol.size + card.between : 0)
        readonly property int end: card.tile ? card.padding : card.padding + (arrow.visible ? arrow.size + card.between : 0)

        spacing: ScreenMetrics.mm(1)
        width: card.width - start - end
        x: start
        y: card.tile ? card.height - height - card.padding : (card.height - height) / 2

        Flow {
            spacing: ScreenMetrics.mm(3)
            width: parent.width

            HallText {
                objectName: "title"
                color: card.inkColor
                size: card.titleSize
                spoken: false
                strong: true
                text: card.label
                width: Math.min(implicitWidth, parent.width)
            }

            Item {
                height: card.tile ? 0 : Math.round(card.titleSize * Tokens.typeLineHeight)
                visible: !card.tile && card.badge !== ""
                width: sideTag.width

                Badge {
                    id: sideTag

                    anchors.verticalCenter: parent.verticalCenter
                    text: card.tile ? "" : card.badge
                    tone: card.badgeTone
                }
            }
        }

        HallText {
            objectName: "detail"
            color: Tokens.muted
            spoken: false
            text: card.detail
            visible: text !== ""
            width: parent.width
        }
    }

    Badge {
        id: tag

        anchors.right: parent.right
        anchors.rightMargin: card.padding
        text: card.tile ? card.badge : ""
        tone: card.badgeTone
        y: card.padding
    }

    Icon {
        id: arrow

        anchors.right: parent.right
        anchors.rightMargin: card.padding
        anchors.verticalCenter: parent.verticalCenter
        color: Tokens.primary
        name: card.chevron && card.enabled && !card.tile ? "right" : ""
        size: ScreenMetrics.mm(9)
    }
}
