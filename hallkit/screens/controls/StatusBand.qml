// The top of every screen: whose hall, what time, who waits, and what this machine can't do now.
import QtQuick

Item {
    id: band

    property string hallName
    property string timeText
    property string waitsText
    property string noticeTone: "plain"
    property string noticeText
    property string noticeDetail
    property bool wide: false

    implicitHeight: face.height + notice.height

    Rectangle {
        id: face

        readonly property int padding: (band.wide ? ScreenMetrics.unit : ScreenMetrics.gutter)

        color: Tokens.primary
        height: line.height + 2 * padding
        width: band.width

        Item {
            id: line

            readonly property bool oneLine: hall.implicitWidth + waits.implicitWidth + clock.implicitWidth + 2 * ScreenMetrics.margin <= width
            readonly property int waitsTop: Math.max(hall.height, clock.height) + ScreenMetrics.hair

            height: oneLine || band.waitsText === "" ? Math.max(hall.height, clock.height) : waitsTop + waits.height
            width: parent.width - 2 * ScreenMetrics.margin
            x: ScreenMetrics.margin
            y: parent.padding

            HallText {
                id: hall

                objectName: "hallName"
                color: Tokens.inverse
                size: ScreenMetrics.lead
                strong: true
                words: band.hallName
                width: Math.min(implicitWidth, line.width - clock.implicitWidth - ScreenMetrics.gutter)
            }

            HallText {
                id: clock

                objectName: "timeText"
                anchors.right: parent.right
                color: Tokens.inverse
                size: ScreenMetrics.lead
                words: band.timeText
                wrapMode: Text.NoWrap
            }

            HallText {
                id: waits

                objectName: "waitsText"
                color: Tokens.inverseMuted
                horizontalAlignment: line.oneLine ? Text.AlignRight : Text.AlignLeft
                words: band.waitsText
                width: line.oneLine ? implicitWidth : line.width
                x: line.oneLine ? line.width - clock.implicitWidth - implicitWidth - ScreenMetrics.margin : 0
                y: line.oneLine ? (hall.height - height) / 2 : line.waitsTop
            }
        }
    }

    NoticeBar {
        id: notice

        anchors.top: face.bottom
        detail: band.noticeDetail
        height: implicitHeight
        square: true
        text: band.noticeText
        textSize: ScreenMetrics.body
        tone: band.noticeTone
        width: band.width
    }
}
