// A choice is a whole card. `hero`: the first entrance of the home screen, filled.
import QtQuick

Pressable {
    id: card

    property string icon
    property string badge
    property string badgeTone: "plain"
    property bool hero: false
    // Icon above the words, for a hero that is taller than wide.
    property bool stacked: false
    property bool roomy: false
    // Tapping ticks it and stays on the page; `picked` is ticked.
    property bool toggles: false
    property bool picked: false
    readonly property int padding: hero ? ScreenMetrics.margin : ScreenMetrics.gutter
    readonly property int between: hero ? ScreenMetrics.margin : ScreenMetrics.gutter
    readonly property int titleSize: hero ? (ScreenMetrics.large ? ScreenMetrics.mm(Tokens.typeDisplay) : ScreenMetrics.display) : roomy ? ScreenMetrics.title : ScreenMetrics.lead
    readonly property color inkColor: !enabled ? Tokens.muted : hero ? Tokens.inverse : Tokens.ink
    readonly property color iconColor: !enabled ? Tokens.muted : hero ? Tokens.inverse : Tokens.primary

    implicitHeight: {
        const inner = stacked ? symbol.implicitHeight + between + texts.height : Math.max(symbol.implicitHeight, texts.height);
        return Math.max(ScreenMetrics.target, inner + 2 * (hero && !ScreenMetrics.large ? padding : ScreenMetrics.snug));
    }

    Accessible.checkable: toggles
    Accessible.checked: picked
    // A screen reader hears the badge with the detail.
    Accessible.description: [badge, detail].filter(part => part !== "").join(", ")

    Rectangle {
        anchors.fill: parent
        border.color: !card.enabled ? Tokens.line : card.hero ? color : card.down || card.picked ? Tokens.primary : Tokens.edge
        border.width: ScreenMetrics.border
        color: {
            if (!card.enabled)
                return Tokens.paper;
            if (card.hero)
                return card.down ? Tokens.primaryPressed : Tokens.primary;
            return card.down || card.picked ? Tokens.primaryTint : Tokens.surface;
        }
        radius: card.cornerRadius
    }

    Icon {
        id: symbol

        color: card.iconColor
        name: card.icon
        size: ScreenMetrics.mm(card.hero ? Tokens.sizeIconHero : card.roomy ? Tokens.sizeIconRoomy : Tokens.sizeIconCard)
        x: card.padding
        y: card.stacked ? texts.y - height - card.between : (card.height - height) / 2
    }

    Column {
        id: texts

        readonly property int start: card.padding + (symbol.drawn && !card.stacked ? symbol.size + card.between : 0)
        readonly property int end: card.padding + (arrow.drawn ? arrow.size + card.between : 0)

        spacing: card.hero || card.roomy ? ScreenMetrics.tight : 0
        width: card.width - start - end
        x: start
        y: (card.height - height + (card.stacked ? symbol.implicitHeight + card.between : 0)) / 2

        Flow {
            spacing: ScreenMetrics.unit
            width: parent.width

            HallText {
                objectName: "title"
                color: card.inkColor
                size: card.titleSize
                spoken: false
                strong: true
                width: Math.min(implicitWidth, parent.width)
                words: card.label
            }

            Item {
                height: ScreenMetrics.lineOf(card.titleSize)
                visible: tag.visible
                width: tag.implicitWidth

                Badge {
                    id: tag

                    anchors.verticalCenter: parent.verticalCenter
                    text: card.badge
                    textSize: card.roomy ? ScreenMetrics.body : ScreenMetrics.caption
                    tone: card.badgeTone
                }
            }
        }

        HallText {
            objectName: "detail"
            color: !card.enabled || !card.hero ? Tokens.muted : Tokens.inverseMuted
            size: card.hero || card.roomy ? ScreenMetrics.lead : ScreenMetrics.body
            spoken: false
            visible: words !== ""
            width: parent.width
            words: card.detail
        }
    }

    Icon {
        id: arrow

        anchors.right: parent.right
        anchors.rightMargin: card.padding
        anchors.verticalCenter: parent.verticalCenter
        color: card.iconColor
        name: !card.enabled || card.stacked ? "" : !card.toggles ? "right" : card.picked ? "done" : "add"
        size: ScreenMetrics.mm(card.toggles ? Tokens.sizeIconCard : Tokens.sizeChevron)
    }
}
