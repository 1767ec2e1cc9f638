// The same help in the same place on every screen.
import QtQuick

Rectangle {
    id: band

    required property var actions
    readonly property int gap: ScreenMetrics.gap
    readonly property int cell: Math.floor((width - 2 * ScreenMetrics.margin + gap) / Math.max(1, buttons.count)) - gap
    property int tallest: ScreenMetrics.target
    property bool stacked: false

    signal activated(action: var)

    function measure(): void {
        let most = ScreenMetrics.target;
        for (let i = 0; i < buttons.count; ++i)
            most = Math.max(most, buttons.itemAt(i)?.implicitHeight ?? 0);
        tallest = most;
    }

    color: Tokens.surface
    implicitHeight: buttons.count === 0 ? 0 : tallest + 2 * ScreenMetrics.mm(4)

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
            x: ScreenMetrics.margin + index * (band.cell + band.gap)
            y: ScreenMetrics.mm(4)

            onActivated: band.activated(modelData)
            onImplicitHeightChanged: band.measure()
        }

        onItemAdded: band.measure()
        onItemRemoved: band.measure()
    }
}
