// The entrances of the hall: the first one large, the others below it (beside it, if wide).
import QtQuick
import hallkit.screens.controls

Page {
    id: page

    readonly property var first: view.choices[0] ?? ({})
    readonly property int gap: ScreenMetrics.gutter

    Overflow {
        id: area

        readonly property int heroLeast: hero.implicitHeight
        readonly property int others: entrances.implicitHeight

        anchors.fill: parent
        earlierLabel: page.view.earlier
        laterLabel: page.view.later
        wide: page.wide
        needed: page.wide ? Math.max(heroLeast, others) : heroLeast + page.gap + others

        ChoiceCard {
            id: hero

            objectName: "choice." + (page.first.value ?? "")
            badge: page.first.badge ?? ""
            badgeTone: page.first.badge_tone ?? "plain"
            detail: page.first.detail ?? ""
            enabled: page.first.enabled ?? true
            height: {
                if (page.wide)
                    return area.height;
                const rest = parent.height - (entrances.rows * (ScreenMetrics.mm(Tokens.sizeResultMost) + entrances.gap)) - page.gap;
                return Math.max(implicitHeight, Math.min(ScreenMetrics.mm(Tokens.sizeHeroMost), rest));
            }
            hero: true
            icon: page.first.icon ?? ""
            label: page.first.title ?? ""
            stacked: page.wide
            visible: page.first.value !== undefined
            width: page.wide ? Math.floor(parent.width * (entrances.columns > 1 ? 0.34 : 0.4)) : parent.width

            onActivated: page.view.choose(page.first.value)
        }

        ChoiceGrid {
            id: entrances

            choices: page.view.choices.slice(1)
            columns: page.wide && page.view.choices.length > 4 ? 2 : 1
            height: parent.height - y
            mostPerCard: page.wide ? height : ScreenMetrics.mm(Tokens.sizeResultMost)
            roomy: !ScreenMetrics.large && !page.wide
            width: parent.width - x
            x: page.wide ? hero.width + page.gap : 0
            y: page.wide ? 0 : hero.height + page.gap

            onChosen: value => page.view.choose(value)
        }
    }
}
