// The letters of pinyin initials. Ten keys of equal width fill a row; shorter rows stand centred,
// and the keys that take back stand beside the last row when there is room.
pragma ComponentBehavior: Bound

import QtQuick

Item {
    id: pad

    required property var keys
    property string deleteLabel
    property string clearLabel
    property bool canErase: true
    property int keyHeight: ScreenMetrics.mm(Tokens.sizeKey)
    readonly property int gap: ScreenMetrics.gap
    readonly property int perRow: Math.max(1, ...keys.map(row => row.length))
    readonly property real keyWidth: (width + gap) / perRow - gap
    readonly property int lastLength: keys.length > 0 ? keys[keys.length - 1].length : 0
    readonly property bool editing: deleteLabel !== "" || clearLabel !== ""
    readonly property bool editingBeside: editing && perRow - lastLength >= 3
    readonly property real editWidth: editingBeside ? ((perRow - lastLength) * (keyWidth + gap)) / 2 - gap : (width - gap) / 2
    readonly property int rowCount: keys.length + (editing && !editingBeside ? 1 : 0)
    readonly property int editY: (rowCount - 1) * (keyHeight + gap)

    signal typed(letter: string)
    signal erased
    signal cleared

    implicitHeight: rowCount * (keyHeight + gap) - gap

    Repeater {
        model: pad.keys

        Item {
            id: row

            required property var modelData
            required property int index

            height: pad.keyHeight
            width: modelData.length * (pad.keyWidth + pad.gap) - pad.gap
            x: (pad.width - width) / 2
            y: index * (pad.keyHeight + pad.gap)

            Repeater {
                model: row.modelData

                Key {
                    required property var modelData
                    required property int index

                    objectName: "key." + modelData
                    height: row.height
                    label: modelData
                    width: pad.keyWidth
                    x: index * (pad.keyWidth + pad.gap)

                    onActivated: pad.typed(modelData)
                }
            }
        }
    }

    Key {
        objectName: "key.clear"
        capitals: false
        enabled: pad.canErase
        height: pad.keyHeight
        label: pad.clearLabel
        textSize: ScreenMetrics.lead
        visible: label !== ""
        width: pad.editWidth
        y: pad.editY

        onActivated: pad.cleared()
    }

    Key {
        objectName: "key.delete"
        capitals: false
        enabled: pad.canErase
        height: pad.keyHeight
        icon: "erase"
        label: pad.deleteLabel
        textSize: ScreenMetrics.lead
        visible: label !== ""
        width: pad.editWidth
        x: pad.width - width
        y: pad.editY

        onActivated: pad.erased()
    }
}
