// The entrances of the hall.
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    Overflow {
        anchors.fill: parent
        earlierLabel: page.view.earlier
        laterLabel: page.view.later
        needed: entrances.implicitHeight

        ChoiceGrid {
            id: entrances

            choices: page.view.choices
            columns: page.wide ? 3 : 2
            height: parent.height
            tile: true
            width: parent.width

            onChosen: value => page.view.choose(value)
        }
    }
}
