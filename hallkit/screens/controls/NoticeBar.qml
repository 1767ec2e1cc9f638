// What a person should know now: shape, words and colour say the same.
import QtQuick

Rectangle {
    id: bar

    property string tone: "plain"
    property string text
    property string detail
    property int textSize: ScreenMetrics.lead
    property bool square: false
    readonly property var looks: ({
            "plain": [Tokens.primary, Tokens.primaryTint, "info"],
            "done": [Tokens.done, Tokens.doneTint, "done"],
            "attention": [Tokens.attention, Tokens.attentionTint, "attention"],
            "fault": [Tokens.fault, Tokens.faultTint, "fault"]
        })
    readonly property var look: looks[tone] ?? looks.plain
    readonly property int padding: ScreenMetrics.mm(4)

    color: look[1]
    implicitHeight: visible ? words.height + 2 * padding : 0
    radius: square ? 0 : ScreenMetrics.radius
    visible: text !== ""

    Rectangle {
        color: bar.look[0]
        height: parent.height - 2 * parent.radius
        width: ScreenMetrics.mm(1.6)
        y: parent.radius
    }

    Icon {
        id: symbol

        color: bar.look[0]
        name: bar.look[2]
        size: Math.round(bar.textSize * 1.25)
        x: bar.square ? ScreenMetrics.margin : ScreenMetrics.gutter
        y: bar.padding + (Math.round(bar.textSize * Tokens.typeLineHeight) - size) / 2
    }

    Column {
        id: words

        spacing: ScreenMetrics.mm(1)
        width: bar.width - x - symbol.x
        x: symbol.x + symbol.size + ScreenMetrics.mm(4)
        y: bar.padding

        HallText {
            objectName: "notice"
            color: bar.look[0]
            size: bar.textSize
            strong: true
            text: bar.text
            width: parent.width
        }

        HallText {
            objectName: "noticeDetail"
            size: bar.square ? ScreenMetrics.caption : ScreenMetrics.body
            text: bar.detail
            visible: text !== ""
            width: parent.width
        }
    }
}
