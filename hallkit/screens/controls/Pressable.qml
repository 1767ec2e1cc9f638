// What every control that a finger presses has in common: touch, keys, screen reader, focus.
//
// A press shows at once. A finger may land a little beside the control and may tremble; one that
// slides away did not tap.
import QtQuick

Item {
    id: pressable

    property string label
    property string detail
    property int cornerRadius: ScreenMetrics.radius
    readonly property bool down: enabled && (finger.pressed && !finger.slid || keys.held)

    signal activated

    function press(): void {
        if (enabled)
            activated();
    }

    activeFocusOnTab: true

    Accessible.description: pressable.detail
    Accessible.focusable: true
    Accessible.name: pressable.label
    Accessible.role: Accessible.Button
    Accessible.onPressAction: pressable.press()

    Keys.onPressed: event => keys.take(event, true)
    Keys.onReleased: event => keys.take(event, false)

    QtObject {
        id: keys

        property bool held: false

        function take(event: KeyEvent, down: bool): void {
            if (![Qt.Key_Return, Qt.Key_Enter, Qt.Key_Space].includes(event.key))
                return;
            event.accepted = true;
            if (event.isAutoRepeat)
                return;
            if (held && !down)
                pressable.press();
            held = down;
        }
    }

    TapHandler {
        id: finger

        // Asked while the finger moves, because its positions change with it.
        readonly property bool slid: {
            const from = point.scenePressPosition;
            const to = point.scenePosition;
            return Math.hypot(to.x - from.x, to.y - from.y) > ScreenMetrics.mm(Tokens.spaceSlip);
        }
        property bool wasSlid: false

        gesturePolicy: TapHandler.ReleaseWithinBounds
        longPressThreshold: 0
        margin: ScreenMetrics.mm(Tokens.spaceReachSlack)

        onPressedChanged: if (pressed)
            wasSlid = false
        onSlidChanged: if (pressed && slid)
            wasSlid = true
        onTapped: if (!wasSlid)
            pressable.press()
    }

    FocusRing {
        control: pressable
        controlRadius: pressable.cornerRadius
        z: 1
    }
}
