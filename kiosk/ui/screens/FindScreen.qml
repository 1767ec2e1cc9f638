// Find an item by the first letters of its name: results above, keys below, within reach.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property int half: Math.floor((width - ScreenMetrics.margin) / 2)

    Rectangle {
        id: field

        border.color: Tokens.primary
        border.width: 2 * ScreenMetrics.border
        color: Tokens.surface
        height: ScreenMetrics.mm(ScreenMetrics.large ? 28 : 24)
        radius: ScreenMetrics.radius
        width: page.wide ? page.half : page.width
        y: page.wide ? pad.y - height - ScreenMetrics.gutter : 0

        Icon {
            id: symbol

            anchors.verticalCenter: parent.verticalCenter
            color: Tokens.primary
            name: "search"
            size: ScreenMetrics.title
            x: ScreenMetrics.gutter
        }

        HallText {
            id: words

            objectName: "query"
            anchors.verticalCenter: parent.verticalCenter
            color: page.view.typed === "" ? Tokens.muted : Tokens.ink
            font.capitalization: page.view.typed === "" ? Font.MixedCase : Font.AllUppercase
            font.letterSpacing: page.view.typed === "" ? 0 : ScreenMetrics.mm(1)
            size: page.view.typed === "" ? ScreenMetrics.body : ScreenMetrics.title
            strong: page.view.typed !== ""
            text: page.view.typed === "" ? page.view.placeholder : page.view.typed
            width: parent.width - x - ScreenMetrics.gutter
            x: symbol.x + symbol.size + ScreenMetrics.unit
        }
    }

    Overflow {
        id: found

        earlierLabel: page.view.earlier
        height: (page.wide ? page.height : pad.y - ScreenMetrics.gutter) - y
        laterLabel: page.view.later
        needed: results.implicitHeight + more.height + (more.height > 0 ? ScreenMetrics.gap : 0)
        width: page.wide ? page.half : page.width
        x: page.wide ? page.width - width : 0
        y: page.wide ? 0 : field.height + ScreenMetrics.gutter

        ChoiceGrid {
            id: results

            choices: page.view.choices
            height: parent.height - more.height - (more.height > 0 ? ScreenMetrics.gap : 0)
            largestCard: ScreenMetrics.mm(40)
            width: parent.width

            onChosen: value => page.view.choose(value)
        }

        HallButton {
            id: more

            readonly property int below: results.rows * (results.cardHeight + results.gap)

            objectName: "action." + (page.view.noneOfThese.id ?? "")
            enabled: page.view.noneOfThese.enabled ?? true
            height: visible ? implicitHeight : 0
            icon: page.view.noneOfThese.icon ?? ""
            label: page.view.noneOfThese.label ?? ""
            visible: page.view.noneOfThese.id !== undefined
            width: parent.width
            y: below

            onActivated: page.view.tap(page.view.noneOfThese)
        }
    }

    KeyPad {
        id: pad

        canErase: page.view.typed !== ""
        clearLabel: page.view.keyClear
        deleteLabel: page.view.keyDelete
        height: implicitHeight
        keys: page.view.keys
        width: page.wide ? page.half : page.width
        y: page.height - height

        onCleared: page.view.clear()
        onErased: page.view.erase()
        onTyped: letter => page.view.type(letter)
    }
}
