// The verbs of a screen: the primary one is wide and at the right hand, the way back at the left.
import QtQuick

Item {
    id: zone

    required property var primary
    required property var secondary
    required property var back
    property bool wide: false
    readonly property bool hasPrimary: primary.id !== undefined
    readonly property bool hasSecondary: secondary.id !== undefined
    readonly property bool hasBack: back.id !== undefined
    readonly property int gap: ScreenMetrics.gap
    readonly property int buttonHeight: Math.max(ScreenMetrics.button, hasPrimary ? first.implicitHeight : 0, hasSecondary ? second.implicitHeight : 0, hasBack ? last.implicitHeight : 0)
    readonly property int third: Math.floor((width - 2 * gap) / 3)
    readonly property int backWidth: Math.max(third, Math.min(last.implicitWidth, Math.floor((width - gap) / 2)))
    // Two rows when three buttons don't fit in one.
    readonly property bool twoRows: !wide && hasPrimary && hasSecondary
    readonly property int afterBack: hasBack ? backWidth + gap : 0
    readonly property int afterSecond: afterBack + (hasSecondary ? second.width + gap : 0)

    signal activated(action: var)

    implicitHeight: !hasPrimary && !hasSecondary && !hasBack ? 0 : twoRows ? 2 * buttonHeight + gap : buttonHeight

    HallButton {
        id: last

        objectName: "action." + (zone.back.id ?? "")
        enabled: zone.back.enabled ?? true
        height: zone.buttonHeight
        icon: zone.back.icon ?? ""
        label: zone.back.label ?? ""
        visible: zone.hasBack
        width: zone.backWidth
        y: zone.twoRows ? zone.buttonHeight + zone.gap : 0

        onActivated: zone.activated(zone.back)
    }

    HallButton {
        id: second

        objectName: "action." + (zone.secondary.id ?? "")
        enabled: zone.secondary.enabled ?? true
        height: zone.buttonHeight
        icon: zone.secondary.icon ?? ""
        label: zone.secondary.label ?? ""
        visible: zone.hasSecondary
        width: zone.hasPrimary && zone.wide ? zone.third : zone.width - x
        x: zone.afterBack
        y: last.y

        onActivated: zone.activated(zone.secondary)
    }

    HallButton {
        id: first

        objectName: "action." + (zone.primary.id ?? "")
        enabled: zone.primary.enabled ?? true
        height: zone.buttonHeight
        icon: zone.primary.icon ?? ""
        kind: "primary"
        label: zone.primary.label ?? ""
        visible: zone.hasPrimary
        width: zone.width - x
        x: zone.twoRows ? 0 : zone.afterSecond

        onActivated: zone.activated(zone.primary)
    }
}
