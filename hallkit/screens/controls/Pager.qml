// Pages of a list, turned by buttons.
import QtQuick

Item {
    id: pager

    required property var previous
    required property var next
    property string text
    readonly property bool hasPrevious: previous.id !== undefined
    readonly property bool hasNext: next.id !== undefined
    readonly property int cell: Math.max(before.implicitWidth, after.implicitWidth, Math.floor(width * 0.28))

    signal activated(action: var)

    implicitHeight: visible ? Math.max(ScreenMetrics.target, before.implicitHeight, after.implicitHeight) : 0
    visible: hasPrevious || hasNext

    HallButton {
        id: before

        objectName: "action." + (pager.previous.id ?? "") + "." + (pager.previous.value ?? "")
        enabled: pager.previous.enabled ?? true
        height: pager.height
        icon: pager.previous.icon || "left"
        label: pager.previous.label ?? ""
        visible: pager.hasPrevious
        width: pager.cell

        onActivated: pager.activated(pager.previous)
    }

    HallText {
        objectName: "pagerText"
        anchors.centerIn: parent
        horizontalAlignment: Text.AlignHCenter
        width: pager.width - 2 * pager.cell - 2 * ScreenMetrics.unit
        words: pager.text
    }

    HallButton {
        id: after

        objectName: "action." + (pager.next.id ?? "") + "." + (pager.next.value ?? "")
        anchors.right: parent.right
        enabled: pager.next.enabled ?? true
        height: pager.height
        icon: pager.next.icon || "right"
        iconLast: true
        label: pager.next.label ?? ""
        visible: pager.hasNext
        width: pager.cell

        onActivated: pager.activated(pager.next)
    }
}
