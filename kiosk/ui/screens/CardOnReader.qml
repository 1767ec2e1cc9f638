// A card over the reader's plate, drawn in the icons' stroke. It sinks slowly towards the plate.
pragma ComponentBehavior: Bound

import QtQuick
import hallkit.screens.controls

Item {
    id: drawing

    property bool moving: false
    readonly property real unit: Math.min(width / 200, height / 170, ScreenMetrics.pxPerMm * 1.3)
    readonly property real stroke: 1.6 * unit

    Item {
        anchors.centerIn: parent
        height: 150 * drawing.unit
        width: 180 * drawing.unit

        // The reader's plate.
        Rectangle {
            border.color: Tokens.primary
            border.width: drawing.stroke
            color: Tokens.primaryTint
            height: 62 * drawing.unit
            radius: 10 * drawing.unit
            width: 180 * drawing.unit
            y: 88 * drawing.unit
        }

        Rectangle {
            border.color: Tokens.primary
            border.width: drawing.stroke
            color: Tokens.surface
            height: 38 * drawing.unit
            radius: 6 * drawing.unit
            width: 126 * drawing.unit
            x: 27 * drawing.unit
            y: 100 * drawing.unit
        }

        // The card.
        Rectangle {
            id: card

            border.color: Tokens.ink
            border.width: drawing.stroke
            color: Tokens.surface
            height: 72 * drawing.unit
            radius: 6 * drawing.unit
            width: 114 * drawing.unit
            x: 33 * drawing.unit

            Repeater {
                model: [44, 34, 52]

                Rectangle {
                    required property int modelData
                    required property int index

                    color: index === 0 ? Tokens.ink : Tokens.line
                    height: 4 * drawing.unit
                    radius: height / 2
                    width: modelData * drawing.unit
                    x: 12 * drawing.unit
                    y: (15 + index * 13) * drawing.unit
                }
            }

            Rectangle {
                color: Tokens.line
                height: 4 * drawing.unit
                radius: height / 2
                width: 90 * drawing.unit
                x: 12 * drawing.unit
                y: 57 * drawing.unit
            }

            Rectangle {
                border.color: Tokens.ink
                border.width: drawing.stroke
                color: Tokens.paper
                height: 36 * drawing.unit
                radius: 3 * drawing.unit
                width: 28 * drawing.unit
                x: 76 * drawing.unit
                y: 12 * drawing.unit

                Icon {
                    anchors.centerIn: parent
                    name: "person"
                    size: 22 * drawing.unit
                    weight: 1.6
                }
            }

            SequentialAnimation on y {
                loops: Animation.Infinite
                running: drawing.moving && ScreenMetrics.slide > 0

                NumberAnimation {
                    duration: 1400
                    easing.type: Easing.InOutCubic
                    from: 0
                    to: 34 * drawing.unit
                }

                PauseAnimation {
                    duration: 900
                }

                NumberAnimation {
                    duration: 700
                    easing.type: Easing.InOutCubic
                    from: 34 * drawing.unit
                    to: 0
                }

                PauseAnimation {
                    duration: 500
                }
            }
        }
    }
}
