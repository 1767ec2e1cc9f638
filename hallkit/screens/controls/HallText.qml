// A text of the hall. It wraps at phrases and is never elided; screen readers read it unless a
// control does.
import QtQuick

Text {
    id: root

    property string words
    property int size: ScreenMetrics.body
    property bool strong: false
    property bool spoken: true

    // Word joiners leave the line breaks to punctuation; a phrase longer than a line still breaks.
    function phrases(plain: string): string {
        return plain.replace(/(\d) (?=[\u3400-\u9fff])|([\u3400-\u9fff]) (?=\d)/g, "$1$2\u00a0").replace(/([\u3400-\u9fff\w])(?=[\u3400-\u9fff\w])/g, "$1\u2060");
    }

    color: Tokens.ink
    font.family: Tokens.fontFamily
    font.pixelSize: size
    font.weight: strong ? Tokens.fontBold : Tokens.fontRegular
    lineHeight: Math.round(size * Tokens.typeLineHeight)
    lineHeightMode: Text.FixedHeight
    text: phrases(words)
    textFormat: Text.PlainText
    wrapMode: Text.Wrap

    Accessible.ignored: !root.spoken || root.words === ""
    Accessible.name: root.words
    Accessible.role: Accessible.StaticText
}
