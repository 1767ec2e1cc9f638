// At most six choices, in equal cards that share the height there is.
pragma ComponentBehavior: Bound

import QtQuick

Item {
    id: grid

    required property var choices
    property int columns: 1
    property int mostPerCard: ScreenMetrics.mm(Tokens.sizeCardMost)
    // Larger words where all cards have room for them.
    property bool roomy: false
    readonly property int gap: ScreenMetrics.gap
    readonly property int rows: Math.ceil(cards.count / columns)
    readonly property int cardHeight: Math.max(tallest, Math.min(mostPerCard, Math.floor((height + gap) / Math.max(1, rows)) - gap))
    readonly property int cardWidth: Math.floor((width + gap) / columns) - gap
    property int tallest: 0

    signal chosen(value: string)

    function measure(): void {
        let most = 0;
        for (let i = 0; i < cards.count; ++i)
            most = Math.max(most, cards.itemAt(i)?.implicitHeight ?? 0);
        tallest = most;
    }

    implicitHeight: Math.max(0, rows * (tallest + gap) - gap)

    Repeater {
        id: cards

        model: grid.choices

        ChoiceCard {
            required property var modelData
            required property int index

            objectName: "choice." + modelData.value
            badge: modelData.badge ?? ""
            badgeTone: modelData.badge_tone ?? "plain"
            detail: modelData.detail ?? ""
            enabled: modelData.enabled ?? true
            height: grid.cardHeight
            icon: modelData.icon ?? ""
            label: modelData.title
            roomy: grid.roomy
            // An odd last card leaves no hole.
            width: index === cards.count - 1 && index % grid.columns === 0 ? grid.width : grid.cardWidth
            x: index % grid.columns * (grid.cardWidth + grid.gap)
            y: Math.floor(index / grid.columns) * (grid.cardHeight + grid.gap)

            onActivated: grid.chosen(modelData.value)
            onImplicitHeightChanged: grid.measure()
        }

        onItemAdded: grid.measure()
        onItemRemoved: grid.measure()
    }
}
