// The number, as large as fits, drawn as the slip that the printer gives.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property int stack: ScreenMetrics.gutter

    NoticeBar {
        id: notice

        detail: page.view.notice.detail ?? ""
        height: implicitHeight
        text: page.view.notice.text ?? ""
        tone: page.view.notice.tone ?? "plain"
        width: parent.width
    }

    Overflow {
        id: area

        earlierLabel: page.view.earlier
        height: page.height - y
        laterLabel: page.view.later
        wide: page.wide
        needed: page.wide ? list.naturalHeight : ScreenMetrics.mm(Tokens.sizeSlipLeast) + (list.visible ? page.stack + list.naturalHeight : 0)
        width: parent.width
        y: notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0

        Rectangle {
            id: slip

            border.color: Tokens.primary
            border.width: ScreenMetrics.border
            color: Tokens.surface
            height: page.wide ? area.height : Math.max(ScreenMetrics.mm(Tokens.sizeSlipLeast), Math.min(ScreenMetrics.mm(Tokens.sizeSlipMost), area.height - page.stack - list.naturalHeight))
            radius: ScreenMetrics.radius
            width: page.wide ? Math.floor((parent.width - ScreenMetrics.gutter) / 2) : parent.width

            Text {
                id: number

                objectName: "bigText"
                anchors.centerIn: parent
                color: Tokens.primary
                font.family: Tokens.fontFamily
                font.pixelSize: ScreenMetrics.mm(Tokens.typeTicket)
                font.weight: Tokens.fontBold
                fontSizeMode: Text.Fit
                height: parent.height - 2 * ScreenMetrics.gutter
                horizontalAlignment: Text.AlignHCenter
                minimumPixelSize: ScreenMetrics.display
                text: page.view.bigText
                textFormat: Text.PlainText
                verticalAlignment: Text.AlignVCenter
                width: parent.width - 2 * ScreenMetrics.margin

                Accessible.name: text
                Accessible.role: Accessible.StaticText
            }
        }

        RowList {
            id: list

            available: page.wide ? area.height : area.height - slip.height - page.stack
            height: implicitHeight
            rows: page.view.rows
            roomy: !ScreenMetrics.large && !page.wide
            summary: true
            width: slip.width
            x: page.wide ? slip.width + ScreenMetrics.gutter : 0
            y: page.wide ? 0 : slip.height + page.stack
        }
    }
}
