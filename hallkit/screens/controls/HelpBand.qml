// The same help in the same place on every screen: filled from the right, so that a button which
// only some screens have moves none of the others.
pragma ComponentBehavior: Bound

import QtQuick

Rectangle {
    id: band

    required property var actions
    property bool stacked: false
    readonly property int gap: ScreenMetrics.gap
    readonly property int cells: Math.max(3, buttons.count)
    readonly property int cell: Math.floor((width - 2 * ScreenMetrics.margin + gap) / cells) - gap
    property int tallest: 0

    signal activated(action: var)

    function measure(): void {
        let most = ScreenMetrics.target;
        for (let i = 0; i < buttons.count; ++i)
            most = Math.max(most, buttons.itemAt(i)?.implicitHeight ?? 0);
        tallest = most;
    }

    color: Tokens.surface
    implicitHeight: buttons.count === 0 ? 0 : tallest + 2 * ScreenMetrics.snug

    Rectangle {
        color: Tokens.line
        height: ScreenMetrics.border
        width: parent.width
    }

    Repeater {
        id: buttons

        model: band.actions

        HallButton {
            required property var modelData
            required property int index

            objectName: "action." + modelData.id
            enabled: modelData.enabled ?? true
            height: band.tallest
            icon: modelData.icon ?? ""
            kind: "quiet"
            label: modelData.label
            stacked: band.stacked
            textSize: ScreenMetrics.body
            width: band.cell
            x: band.width - ScreenMetrics.margin - (buttons.count - index) * (band.cell + band.gap) + band.gap
            y: ScreenMetrics.snug

            onActivated: band.activated(modelData)
            onImplicitHeightChanged: band.measure()
        }

        onItemAdded: band.measure()
        onItemRemoved: band.measure()
    }
}
