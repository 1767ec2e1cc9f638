// Content that may be taller than its place: then it can be dragged, and two buttons step it. They
// stand below it, or beside it on a panel that lies on its side.
import QtQuick

Item {
    id: area

    default property alias content: holder.data
    property string earlierLabel
    property string laterLabel
    property bool wide: false
    // What the content needs at least; it is given the whole height if that is more.
    property int needed: 0
    readonly property bool overflows: needed > height + 1
    readonly property bool beside: overflows && wide
    readonly property bool below: overflows && !wide

    function step(direction: int): void {
        const limit = flick.contentHeight - flick.height;
        flick.contentY = Math.max(0, Math.min(limit, flick.contentY + direction * Math.round(flick.height * 0.8)));
    }

    Flickable {
        id: flick

        objectName: "overflow"
        boundsBehavior: Flickable.StopAtBounds
        clip: area.overflows
        contentHeight: Math.max(height, area.needed)
        contentWidth: width
        height: area.below ? area.height - steps.height - ScreenMetrics.gap : area.height
        interactive: area.overflows
        width: area.beside ? area.width - steps.width - ScreenMetrics.gap : area.width

        onContentHeightChanged: returnToBounds()

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
    }

    Item {
        id: steps

        readonly property int cellWidth: area.wide ? width : Math.floor((width - ScreenMetrics.gap) / 2)
        readonly property int cellHeight: area.wide ? Math.floor((height - ScreenMetrics.gap) / 2) : height

        anchors.bottom: parent.bottom
        anchors.right: parent.right
        height: area.wide ? area.height : Math.max(up.implicitHeight, down.implicitHeight)
        visible: area.overflows
        width: area.wide ? Math.max(up.implicitWidth, down.implicitWidth, ScreenMetrics.target) : area.width

        HallButton {
            id: up

            objectName: "step.up"
            enabled: !flick.atYBeginning
            height: steps.cellHeight
            icon: "up"
            label: area.earlierLabel
            stacked: area.wide
            width: steps.cellWidth

            onActivated: area.step(-1)
        }

        HallButton {
            id: down

            objectName: "step.down"
            anchors.bottom: parent.bottom
            anchors.right: parent.right
            enabled: !flick.atYEnd
            height: steps.cellHeight
            icon: "down"
            label: area.laterLabel
            stacked: area.wide
            width: steps.cellWidth

            onActivated: area.step(1)
        }
    }
}
