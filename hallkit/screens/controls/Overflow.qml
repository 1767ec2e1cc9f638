// Content that may be taller than its place: then it can be dragged, and two buttons step it.
import QtQuick

Item {
    id: area

    default property alias content: holder.data
    property string earlierLabel
    property string laterLabel
    // What the content needs at least; it is given the whole height if that is more.
    property int needed: 0
    readonly property bool overflows: needed > height + 1

    function step(direction: int): void {
        const limit = flick.contentHeight - flick.height;
        flick.contentY = Math.max(0, Math.min(limit, flick.contentY + direction * flick.height * 0.8));
    }

    Flickable {
        id: flick

        boundsBehavior: Flickable.StopAtBounds
        clip: area.overflows
        contentHeight: Math.max(height, area.needed)
        contentWidth: width
        height: area.overflows ? area.height - steps.height - ScreenMetrics.gap : area.height
        interactive: area.overflows
        objectName: "overflow"
        width: area.width

        Behavior on contentY {
            enabled: !flick.moving

            NumberAnimation {
                duration: ScreenMetrics.slide
                easing.type: Easing.OutCubic
            }
        }

        Item {
            id: holder

            height: flick.contentHeight
            width: flick.width
        }

        onContentHeightChanged: returnToBounds()
    }

    Row {
        id: steps

        readonly property int cell: (area.width - spacing) / 2

        anchors.bottom: parent.bottom
        height: ScreenMetrics.target
        spacing: ScreenMetrics.gap
        visible: area.overflows

        HallButton {
            objectName: "step.up"
            enabled: !flick.atYBeginning
            height: parent.height
            icon: "up"
            label: area.earlierLabel
            width: steps.cell

            onActivated: area.step(-1)
        }

        HallButton {
            objectName: "step.down"
            enabled: !flick.atYEnd
            height: parent.height
            icon: "down"
            label: area.laterLabel
            width: steps.cell

            onActivated: area.step(1)
        }
    }
}
