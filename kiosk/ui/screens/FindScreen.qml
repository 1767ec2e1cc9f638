// Find an item by the first letters of its name: what is typed stands by the keys, within reach;
// what was found stands above them (beside them, if wide).
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property bool empty: view.typed === ""
    readonly property int half: Math.floor((width - ScreenMetrics.margin) / 2)

    ownHeader: wide

    StepHeader {
        step: page.view.stepText
        title: page.view.title
        visible: page.wide
        why: page.view.why
        wide: true
        width: page.half
    }

    NoticeBar {
        id: notice

        detail: page.view.notice.detail ?? ""
        height: implicitHeight
        text: page.view.notice.text ?? ""
        tone: page.view.notice.tone ?? "plain"
        width: found.width
        x: found.x
    }

    Overflow {
        id: found

        readonly property int gap: ScreenMetrics.gap
        readonly property int foot: more.visible ? more.implicitHeight + gap : 0

        earlierLabel: page.view.earlier
        height: (page.wide ? page.height : field.y - ScreenMetrics.gutter) - y
        laterLabel: page.view.later
        wide: page.wide
        needed: results.implicitHeight + foot
        width: page.wide ? page.half : page.width
        x: page.wide ? page.width - width : 0
        y: notice.height > 0 ? notice.height + ScreenMetrics.gutter : 0

        ChoiceGrid {
            id: results

            choices: page.view.choices
            height: parent.height - found.foot
            mostPerCard: ScreenMetrics.mm(Tokens.sizeResultMost)
            roomy: !ScreenMetrics.large && !page.wide && page.view.choices.length <= 3
            width: parent.width

            onChosen: value => page.view.choose(value)
        }

        HallButton {
            id: more

            objectName: "action." + (page.view.noneOfThese.id ?? "")
            enabled: page.view.noneOfThese.enabled ?? true
            height: implicitHeight
            icon: page.view.noneOfThese.icon || "question"
            // With nothing to choose from, a person is the way on.
            kind: page.view.choices.length === 0 ? "primary" : "secondary"
            label: page.view.noneOfThese.label ?? ""
            visible: page.view.noneOfThese.id !== undefined
            width: parent.width
            y: results.used > 0 ? results.used + results.gap : 0

            onActivated: page.view.tap(page.view.noneOfThese)
        }
    }

    // Before the first letter: where to begin.
    Row {
        readonly property int sign: ScreenMetrics.mm(2 * Tokens.sizeIconSymbol)

        spacing: ScreenMetrics.margin
        visible: page.empty && page.view.choices.length === 0
        width: found.width
        x: found.x
        y: found.y + (found.height - height) / 2

        Rectangle {
            color: Tokens.primaryTint
            height: parent.sign
            radius: width / 2
            width: parent.sign

            Icon {
                anchors.centerIn: parent
                color: Tokens.primary
                name: "keyboard"
                size: ScreenMetrics.mm(Tokens.sizeIconSymbol)
                weight: 1.6
            }
        }

        HallText {
            objectName: "placeholder"
            anchors.verticalCenter: parent.verticalCenter
            color: Tokens.primary
            size: ScreenMetrics.title
            strong: true
            width: parent.width - parent.sign - parent.spacing
            words: page.view.placeholder
        }
    }

    Rectangle {
        id: field

        border.color: Tokens.primary
        border.width: 2 * ScreenMetrics.border
        color: Tokens.surface
        height: Math.max(ScreenMetrics.mm(Tokens.sizeField), letters.height + 2 * ScreenMetrics.tight)
        radius: ScreenMetrics.radius
        width: pad.width
        y: pad.y - height - ScreenMetrics.gutter

        Icon {
            id: symbol

            anchors.verticalCenter: parent.verticalCenter
            color: Tokens.primary
            name: "search"
            size: ScreenMetrics.mm(Tokens.sizeIcon)
            x: ScreenMetrics.gutter
        }

        HallText {
            id: letters

            objectName: "query"
            anchors.verticalCenter: parent.verticalCenter
            font.capitalization: Font.AllUppercase
            font.letterSpacing: ScreenMetrics.hair
            size: ScreenMetrics.title
            strong: true
            width: Math.min(implicitWidth, parent.width - x - ScreenMetrics.gutter)
            words: page.view.typed
            x: symbol.x + symbol.size + ScreenMetrics.unit
        }

        // Where the next letter will stand.
        Rectangle {
            anchors.left: letters.right
            anchors.leftMargin: ScreenMetrics.hair
            anchors.verticalCenter: parent.verticalCenter
            color: Tokens.primary
            height: ScreenMetrics.title
            width: ScreenMetrics.mm(Tokens.spaceCaret)
        }
    }

    KeyPad {
        id: pad

        canErase: !page.empty
        clearLabel: page.view.keyClear
        deleteLabel: page.view.keyDelete
        height: implicitHeight
        keyHeight: ScreenMetrics.mm(page.wide ? Tokens.sizeKeyWidePanel : Tokens.sizeKey)
        keys: page.view.keys
        width: page.wide ? page.half : page.width
        y: page.height - height

        onCleared: page.view.clear()
        onErased: page.view.erase()
        onTyped: letter => page.view.type(letter)
    }
}
