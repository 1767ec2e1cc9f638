// At most six choices, in equal cards that share the height there is. Where equal cards don't fit,
// a single column gives each the height it needs.
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
    readonly property bool equal: columns > 1 || rows * (tallest + gap) - gap <= height
    readonly property int share: Math.min(mostPerCard, Math.floor((height + gap) / Math.max(1, rows)) - gap)
    readonly property int cardWidth: Math.floor((width + gap) / columns) - gap
    property int tallest: 0
    property int total: 0
    property list<int> tops: []
    // Where the last card ends.
    readonly property int used: equal ? rows * (Math.max(tallest, share) + gap) - gap : total

    signal chosen(value: string)

    function measure(): void {
        let most = 0;
        let sum = 0;
        const starts = [];
        for (let i = 0; i < cards.count; ++i) {
            const needed = cards.itemAt(i)?.implicitHeight ?? 0;
            most = Math.max(most, needed);
            starts.push(sum);
            sum += needed + gap;
        }
        tallest = most;
        total = Math.max(0, sum - gap);
        tops = starts;
    }

    function topOf(index: int): int {
        return equal ? Math.floor(index / columns) * (Math.max(tallest, share) + gap) : tops[index] ?? 0;
    }

    implicitHeight: columns > 1 ? Math.max(0, rows * (tallest + gap) - gap) : total

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
            height: grid.equal ? Math.max(grid.tallest, grid.share) : implicitHeight
            icon: modelData.icon ?? ""
            label: modelData.title
            picked: modelData.picked ?? false
            roomy: grid.roomy
            // An odd last card leaves no hole.
            toggles: modelData.toggles ?? false
            width: index === cards.count - 1 && index % grid.columns === 0 ? grid.width : grid.cardWidth
            x: index % grid.columns * (grid.cardWidth + grid.gap)
            y: grid.topOf(index)

            onActivated: grid.chosen(modelData.value)
            onImplicitHeightChanged: grid.measure()
        }

        onItemAdded: grid.measure()
        onItemRemoved: grid.measure()
    }
}
