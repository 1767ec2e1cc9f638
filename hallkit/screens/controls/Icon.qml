// An icon of the set, stroked in any colour. A name that is not of the set draws nothing.
import QtQuick
import QtQuick.Shapes

Item {
    id: icon

    property string name
    property int size: ScreenMetrics.mm(10) * ScreenMetrics.typeScale
    property color color: Tokens.ink
    // Two of the grid's 24 units, as the set is drawn.
    property real weight: 2
    readonly property bool drawn: IconSet.stroke(name) !== ""

    implicitHeight: drawn ? size : 0
    implicitWidth: drawn ? size : 0
    visible: drawn

    Shape {
        height: 24
        scale: icon.size / height
        transformOrigin: Item.TopLeft
        visible: icon.drawn
        width: 24

        ShapePath {
            capStyle: ShapePath.RoundCap
            fillColor: "transparent"
            joinStyle: ShapePath.RoundJoin
            strokeColor: icon.color
            strokeWidth: icon.weight

            PathSvg {
                path: IconSet.stroke(icon.name)
            }
        }
    }
}
