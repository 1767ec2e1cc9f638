// Where am I: the step, what it is in plain words, one sentence of why.
import QtQuick

Column {
    id: header

    property string step
    property string title
    property string why
    property bool wide: false

    spacing: header.wide ? 0 : ScreenMetrics.tight

    HallText {
        objectName: "step"
        color: Tokens.primary
        strong: true
        words: header.step
        visible: words !== ""
        width: parent.width
    }

    HallText {
        objectName: "title"
        size: ScreenMetrics.title
        strong: true
        words: header.title
        visible: words !== ""
        width: parent.width
        Accessible.role: Accessible.Heading
    }

    HallText {
        objectName: "why"
        color: Tokens.muted
        size: header.wide || ScreenMetrics.large ? ScreenMetrics.body : ScreenMetrics.lead
        words: header.why
        visible: words !== ""
        width: parent.width
    }
}
