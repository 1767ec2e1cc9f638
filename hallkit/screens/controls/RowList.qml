// Lines of a list or of a summary. `summary`: the label is a caption and the value is what counts.
pragma ComponentBehavior: Bound

import QtQuick

Rectangle {
    id: list

    required property var rows
    property bool summary: false
    // Larger words where there is room.
    property bool roomy: false
    property int largestRow: ScreenMetrics.mm(roomy ? Tokens.sizeFactRoomyMost : summary ? Tokens.sizeFactMost : Tokens.sizeRowMost)
    property int available: 0
    readonly property alias naturalHeight: lines.naturalHeight
    readonly property int spare: Math.max(0, available - naturalHeight)
    readonly property int labelColumn: Math.round(width * 0.3)

    border.color: Tokens.line
    border.width: ScreenMetrics.border
    color: Tokens.surface
    implicitHeight: lines.height
    radius: ScreenMetrics.radius
    visible: rows.length > 0

    Column {
        id: lines

        property int naturalHeight: 0
        readonly property int each: list.rows.length > 0 ? Math.floor(list.spare / list.rows.length) : 0

        function measure(): void {
            let sum = 0;
            for (let i = 0; i < repeater.count; ++i)
                sum += (repeater.itemAt(i) as Line)?.natural ?? 0;
            naturalHeight = sum;
        }

        width: list.width

        Repeater {
            id: repeater

            model: list.rows

            Line {
            }

            onItemAdded: lines.measure()
            onItemRemoved: lines.measure()
        }
    }

    component Line: Item {
        id: line

        required property var modelData
        required property int index
        readonly property string tone: modelData.tone ?? "plain"
        readonly property int padding: ScreenMetrics.snug
        readonly property int natural: Math.max(ScreenMetrics.mm(list.summary ? Tokens.sizeFactLeast : Tokens.sizeRowLeast), texts.height + 2 * padding)
        readonly property int side: ScreenMetrics.gutter

        height: Math.max(natural, Math.min(list.largestRow, natural + lines.each))
        width: list.width

        onNaturalChanged: lines.measure()

        Rectangle {
            color: Tokens.line
            height: ScreenMetrics.border
            visible: line.index > 0
            width: parent.width - 2 * line.side
            x: line.side
        }

        Column {
            id: texts

            spacing: 0
            width: parent.width - 2 * line.side - (mark.visible ? mark.implicitWidth + ScreenMetrics.unit : 0)
            x: line.side
            y: (line.height - height) / 2

            Item {
                height: Math.max(label.height, value.visible ? value.height : 0)
                width: parent.width

                HallText {
                    id: label

                    objectName: "rowLabel"
                    color: list.summary ? Tokens.muted : Tokens.ink
                    size: list.summary && !list.roomy ? ScreenMetrics.body : ScreenMetrics.lead
                    words: line.modelData.label
                    width: value.visible ? list.labelColumn : parent.width
                    y: value.visible ? Math.max(0, (ScreenMetrics.lineOf(value.size) - ScreenMetrics.lineOf(size)) / 2) : 0
                }

                HallText {
                    id: value

                    objectName: "rowValue"
                    size: list.roomy ? ScreenMetrics.title : ScreenMetrics.lead
                    strong: true
                    words: line.modelData.value ?? ""
                    visible: words !== ""
                    width: parent.width - x
                    x: list.labelColumn + ScreenMetrics.unit
                }
            }

            HallText {
                objectName: "rowDetail"
                color: Tokens.muted
                size: list.roomy ? ScreenMetrics.lead : ScreenMetrics.body
                words: line.modelData.detail ?? ""
                visible: words !== ""
                width: parent.width - x
                x: value.visible ? value.x : 0
            }
        }

        Badge {
            id: mark

            anchors.right: parent.right
            anchors.rightMargin: line.side
            anchors.verticalCenter: parent.verticalCenter
            text: line.modelData.mark ?? ""
            tone: line.tone
            Accessible.ignored: text === ""
            Accessible.name: text
            Accessible.role: Accessible.StaticText
        }
    }
}
