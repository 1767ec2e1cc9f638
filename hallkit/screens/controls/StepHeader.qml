// Where am I: the step, what it is in plain words, one sentence of why.
import QtQuick

Column {
    id: header

    property string step
    property string title
    property string why
    property bool wide: false

    spacing: ScreenMetrics.mm(1)

    HallText {
        objectName: "step"
        color: Tokens.primary
        strong: true
        text: header.step
        visible: text !== ""
        width: parent.width
    }

    HallText {
        objectName: "title"
        size: ScreenMetrics.title
        strong: true
        text: header.title
        visible: text !== ""
        width: parent.width
        Accessible.role: Accessible.Heading
    }

    HallText {
        objectName: "why"
        color: Tokens.muted
        text: header.why
        visible: text !== ""
        width: parent.width
    }
}
