// What happened, what still works, the next step, a person. It has no other content, so it speaks
// large, and its sign says by shape what kind of message it is.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property string tone: view.notice.tone ?? "plain"
    readonly property int sign: ScreenMetrics.mm(2 * Tokens.sizeIconSymbol)

    ownHeader: true

    Overflow {
        id: area

        anchors.fill: parent
        earlierLabel: page.view.earlier
        laterLabel: page.view.later
        wide: page.wide
        needed: message.height

        Column {
            id: message

            spacing: ScreenMetrics.margin
            width: parent.width
            // A third of the spare height above, two thirds below.
            y: page.wide ? 0 : Math.max(0, Math.round((parent.height - height) / 3))

            Rectangle {
                color: Tones.tint(page.tone)
                height: page.sign
                radius: width / 2
                visible: !page.wide
                width: page.sign

                Icon {
                    anchors.centerIn: parent
                    color: Tones.ink(page.tone)
                    name: Tones.icon(page.tone)
                    size: ScreenMetrics.mm(Tokens.sizeIconSymbol)
                    weight: 1.6
                }
            }

            Column {
                spacing: ScreenMetrics.unit
                width: parent.width

                HallText {
                    objectName: "title"
                    size: ScreenMetrics.large ? ScreenMetrics.title : ScreenMetrics.display
                    strong: true
                    width: parent.width
                    words: page.view.title

                    Accessible.role: Accessible.Heading
                }

                HallText {
                    objectName: "why"
                    color: Tokens.muted
                    size: ScreenMetrics.lead
                    visible: words !== ""
                    width: parent.width
                    words: page.view.why
                }
            }

            NoticeBar {
                detail: page.view.notice.detail ?? ""
                height: implicitHeight
                text: page.view.notice.text ?? ""
                tone: page.tone
                width: parent.width
            }

            RowList {
                height: implicitHeight
                rows: page.view.rows
                summary: true
                width: parent.width
            }
        }
    }
}
