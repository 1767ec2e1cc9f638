// What a person should know now: shape, words and colour say the same.
import QtQuick

Rectangle {
    id: bar

    property string tone: "plain"
    property string text
    property string detail
    property int textSize: ScreenMetrics.lead
    property bool square: false
    readonly property int padding: ScreenMetrics.unit

    color: Tones.tint(bar.tone)
    implicitHeight: visible ? texts.height + 2 * padding : 0
    radius: square ? 0 : ScreenMetrics.radius
    visible: text !== ""

    Rectangle {
        color: Tones.ink(bar.tone)
        height: parent.height - 2 * parent.radius
        width: ScreenMetrics.mm(Tokens.spaceStripe)
        y: parent.radius
    }

    Icon {
        id: symbol

        color: Tones.ink(bar.tone)
        name: Tones.icon(bar.tone)
        size: Math.round(bar.textSize * 1.25)
        x: bar.square ? ScreenMetrics.margin : ScreenMetrics.gutter
        y: bar.padding + (ScreenMetrics.lineOf(bar.textSize) - size) / 2
    }

    Column {
        id: texts

        spacing: ScreenMetrics.hair
        width: bar.width - x - symbol.x
        x: symbol.x + symbol.size + ScreenMetrics.unit
        y: bar.padding

        HallText {
            objectName: "notice"
            color: Tones.ink(bar.tone)
            size: bar.textSize
            strong: true
            words: bar.text
            width: parent.width
        }

        HallText {
            objectName: "noticeDetail"
            size: bar.square ? ScreenMetrics.caption : ScreenMetrics.body
            words: bar.detail
            visible: words !== ""
            width: parent.width
        }
    }
}
