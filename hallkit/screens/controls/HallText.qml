// A text of the hall. It wraps and is never elided; screen readers read it unless a control does.
import QtQuick

Text {
    id: words

    property int size: ScreenMetrics.body
    property bool strong: false
    property bool spoken: true

    color: Tokens.ink
    font.family: Tokens.fontFamily
    font.pixelSize: size
    font.weight: strong ? Tokens.fontBold : Tokens.fontRegular
    lineHeight: Math.round(size * Tokens.typeLineHeight)
    lineHeightMode: Text.FixedHeight
    textFormat: Text.PlainText
    wrapMode: Text.Wrap

    Accessible.ignored: !words.spoken || words.text === ""
    Accessible.name: words.text
    Accessible.role: Accessible.StaticText
}
