// A field to sign in with a finger or a pen. The line is drawn as it comes; `finished` gives the
// strokes, each a list of [x mm, y mm, ms since the first touch, force]. They live here until
// `clear` or the pad's end, and nowhere else.
//
// One finger writes: the hand that rests beside it does not, and a mouse never does.
import QtQuick

Item {
    id: pad

    property string fieldLabel
    property string againLabel
    property string doneLabel
    readonly property bool written: strokeCount > 0
    readonly property real inkWidth: Math.max(2, 1.2 * ScreenMetrics.pxPerMm)

    // As much as `hallkit.model.signature` takes, and more than anybody writes.
    readonly property int mostPoints: 10000
    readonly property int mostStrokes: 300
    readonly property int mostMs: 600000

    property var strokes: []
    property int strokeCount: 0
    property int pointCount: 0
    property real startedMs: 0

    signal finished(strokes: var, widthMm: real, heightMm: real)

    function clear(): void {
        writer.stop();
        writer.lastMs = 0;
        strokes = [];
        strokeCount = 0;
        pointCount = 0;
        ink.redraw();
    }

    implicitHeight: ScreenMetrics.mm(Tokens.sizeSignatureHeight) + ScreenMetrics.gap + again.height
    implicitWidth: ScreenMetrics.mm(Tokens.sizeSignatureWidth)

    Rectangle {
        id: field

        objectName: "field"
        border.color: Tokens.edge
        border.width: ScreenMetrics.border
        color: Tokens.surface
        height: pad.height - again.height - ScreenMetrics.gap
        width: pad.width

        Accessible.name: pad.fieldLabel
        Accessible.role: Accessible.Graphic

        Rectangle {
            objectName: "baseline"
            color: Tokens.line
            height: ScreenMetrics.border
            width: field.width - 2 * ScreenMetrics.gutter
            x: ScreenMetrics.gutter
            y: Math.round(field.height * 0.72)
        }

        Canvas {
            id: ink

            property bool whole: false
            property var fresh: []

            function line(from: var, to: var): void {
                const scale = ScreenMetrics.pxPerMm;
                const left = Math.min(from[0], to[0]) * scale - pad.inkWidth;
                const top = Math.min(from[1], to[1]) * scale - pad.inkWidth;
                const width = Math.abs(from[0] - to[0]) * scale + 2 * pad.inkWidth;
                const height = Math.abs(from[1] - to[1]) * scale + 2 * pad.inkWidth;
                fresh.push([from, to]);
                // Only what is new: a slow processor keeps up with the finger.
                markDirty(Qt.rect(left, top, width, height));
            }

            function redraw(): void {
                whole = true;
                fresh = [];
                requestPaint();
            }

            function draw(pen: var, from: var, to: var): void {
                const scale = ScreenMetrics.pxPerMm;
                pen.moveTo(from[0] * scale, from[1] * scale);
                // A point is drawn as a line that hardly has a length.
                pen.lineTo(to[0] * scale + 0.01, to[1] * scale);
            }

            anchors.fill: parent
            renderStrategy: Canvas.Immediate
            renderTarget: Canvas.Image

            onHeightChanged: redraw()
            onWidthChanged: redraw()

            onPaint: {
                const pen = getContext("2d");
                if (whole)
                    pen.clearRect(0, 0, width, height);
                pen.lineCap = "round";
                pen.lineJoin = "round";
                pen.lineWidth = pad.inkWidth;
                pen.strokeStyle = Tokens.ink;
                pen.beginPath();
                if (whole) {
                    for (const stroke of pad.strokes)
                        for (let n = 0; n < stroke.length; ++n)
                            draw(pen, stroke[Math.max(0, n - 1)], stroke[n]);
                } else {
                    for (const piece of fresh)
                        draw(pen, piece[0], piece[1]);
                }
                pen.stroke();
                fresh = [];
                whole = false;
            }
        }

        MultiPointTouchArea {
            id: writer

            property int pen: -1
            property var stroke: null
            property real lastMs: 0

            function stop(): void {
                pen = -1;
                stroke = null;
            }

            function take(point: TouchPoint): void {
                const x = point.x / ScreenMetrics.pxPerMm;
                const y = point.y / ScreenMetrics.pxPerMm;
                if (point.x < 0 || point.y < 0 || point.x > width || point.y > height) {
                    // Beside the field the line ends; where it comes back another begins.
                    stroke = null;
                    return;
                }
                if (pad.pointCount >= pad.mostPoints)
                    return;
                const before = stroke !== null ? stroke[stroke.length - 1] : null;
                if (before !== null && Math.hypot(x - before[0], y - before[1]) < 0.1)
                    return;
                if (stroke === null) {
                    if (pad.strokeCount >= pad.mostStrokes)
                        return;
                    stroke = [];
                    pad.strokes.push(stroke);
                    pad.strokeCount = pad.strokes.length;
                }
                const atMs = Date.now();  // once: the first point is at 0
                if (pad.pointCount === 0)
                    pad.startedMs = atMs;
                const now = [x, y, Math.min(Math.max(atMs - pad.startedMs, lastMs), pad.mostMs), point.pressure];
                lastMs = now[2];
                stroke.push(now);
                pad.pointCount += 1;
                ink.line(before ?? now, now);
            }

            anchors.fill: parent
            maximumTouchPoints: 10
            mouseEnabled: false

            onPressed: points => {
                if (pen < 0 && points.length > 0) {
                    pen = points[0].pointId;
                    take(points[0]);
                }
            }
            onUpdated: points => {
                for (const point of points)
                    if (point.pointId === pen)
                        take(point);
            }
            onReleased: points => {
                for (const point of points)
                    if (point.pointId === pen)
                        stop();
            }
            onCanceled: stop()
        }
    }

    HallButton {
        id: again

        objectName: "action.again"
        enabled: pad.written
        height: ScreenMetrics.button
        icon: "retry"
        label: pad.againLabel
        width: Math.round((pad.width - ScreenMetrics.gap) / 2)
        y: pad.height - height

        onActivated: pad.clear()
    }

    HallButton {
        objectName: "action.done"
        enabled: pad.written
        height: again.height
        icon: "check"
        kind: "primary"
        label: pad.doneLabel
        width: pad.width - again.width - ScreenMetrics.gap
        x: pad.width - width
        y: again.y

        onActivated: pad.finished(pad.strokes, field.width / ScreenMetrics.pxPerMm, field.height / ScreenMetrics.pxPerMm)
    }
}
