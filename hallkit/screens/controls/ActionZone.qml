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
    readonly property int buttonHeight: Math.max(ScreenMetrics.mm(ScreenMetrics.large ? 28 : 24), first.visible ? first.implicitHeight : 0, second.visible ? second.implicitHeight : 0, last.visible ? last.implicitHeight : 0)
    readonly property int third: Math.floor((width - 2 * gap) / 3)
    // Two rows when three buttons don't fit in one.
    readonly property bool twoRows: !wide && hasPrimary && hasSecondary

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
        width: zone.third
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
        x: zone.hasBack ? zone.third + zone.gap : 0
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
        x: {
            if (zone.twoRows)
                return 0;
            const before = (zone.hasBack ? 1 : 0) + (zone.hasSecondary ? 1 : 0);
            return before * (zone.third + zone.gap);
        }

        onActivated: zone.activated(zone.primary)
    }
}
