using CutoffLen.Common;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>
/// English words for needles and word lists. RULER takes those of the package wonderwords, about nine thousand; this list is
/// the project's own and shorter. Longer lists of words are pairs, such as brave-river.
/// </summary>
internal static class EnglishWords
{
    private static readonly string[] Nouns = Split(
        """
        acorn actor adventure alley anchor animal ankle answer apple apron archer arrow artist attic author autumn baker balcony bamboo banner
        barley basket beacon beard beaver bell bench berry bicycle blanket blossom board bottle boulder branch bread breeze brick bridge broom
        brother bucket butter button cabin cactus camel camera canal candle canoe canvas captain carpet carriage castle cattle cellar century
        chair chalk chapter cherry chimney circle citizen clay cliff clock cloud clover coast cobbler coffee comet compass copper corner cottage
        cotton cousin cradle crane crater creek cricket crown crystal curtain cushion dancer daughter desert diamond dinner doctor dolphin donkey
        dragon drawer dream drum eagle earth elbow elephant emerald engine evening fable falcon farmer feather fence ferry fiddle field finger
        flame flint flower flute forest fountain fox friend frost garden garlic garment ginger glacier glass glove goat goose grain granite grape
        hammer harbor harvest hawk hazel hedge helmet heron hill honey hotel house hunter iceberg infant island ivory jacket jungle kettle kitchen
        kitten ladder lagoon lamp lantern lawyer leather lemon letter library lily lizard lobster locket lumber magnet mango maple marble market
        meadow medal melody mineral mirror mitten monkey morning mountain mushroom napkin needle nephew novel nurse ocean olive onion orchard otter
        oyster paddle painter palace panther parade parrot pasture peach pebble pencil pepper piano pigeon pillow pilot planet pocket poet pond
        puppet puzzle quarry quilt rabbit railway rainbow raven ribbon river robin rocket sailor salmon sandal saddle scholar school seed shadow
        shelter shepherd ship shovel shrimp silver sister skater sleigh sparrow spider spoon squirrel stable station stream summer sunset table
        tailor teapot temple thimble thunder ticket tiger timber tower tractor trumpet tulip tunnel turtle valley velvet village violin wagon walnut
        water whale wheat whistle willow window winter wizard yogurt zebra
        """);

    private static readonly string[] Adjectives = Split(
        """
        able absent agile ancient angry anxious ashen average awake awkward bashful bitter blank blunt bold boring brave brief bright brisk broad
        bumpy busy calm careful cautious charming cheap cheerful chilly clean clever clumsy cold common cozy crisp crooked cruel curious curly
        daring deep delicate dense diligent dim distant dizzy drowsy dry dull dusty eager early elegant empty enormous exact faint fair faithful
        famous fancy fast fierce firm flat fluffy foggy foolish fragile frank fresh frozen gentle giant glad gloomy golden graceful grand grateful
        greedy green grumpy handsome handy happy harsh hasty healthy heavy helpful hollow honest humble hungry icy idle jolly joyful keen kind large
        late lazy lively lonely loose loud lovely loyal lucky mellow merry messy mighty mild modern modest muddy narrow neat nervous noble noisy
        normal odd old orange pale patient perfect plain pleasant polite proud purple quick quiet rapid rare ready red rough round royal rusty sandy
        secret serious shallow sharp shiny short shy silent simple slender slow smooth soft solid sour spare steady steep stiff strange strict strong
        sturdy sudden sweet swift tall tame tender thick thin tidy timid tiny tired tough tricky true ugly unique urgent useful vague vast warm weary
        wide wild wise witty wooden worthy young zealous
        """);

    private static readonly string[] Verbs = Split(
        """
        admire agree allow applaud argue arrive assist bake bargain beg begin behave belong blink boil borrow bounce bow breathe bring build bury buy
        call carve chase chew choose clap climb collect compare complain count cough crawl cry cure dance decide deliver deny dig dive divide draw
        dress drift drink earn eat embrace enjoy escape expand explain explore fall fasten fetch fight find float fold follow forget forgive gather
        give grow guess hang hear hesitate hide hope hug hurry imagine invent invite jump knit knock laugh lead learn leave lend lift listen melt mend
        mix mumble obey offer paint perform pick polish pour praise pretend prove pull push read rejoice remember repair rescue rest ride rise roar
        roll row run scatter scrub search sell sew shiver shout sing sit sleep smile sneeze solve speak spin stare stir stretch swim talk taste teach
        tell throw travel tremble twist wait walk wander wash weave weep whisper win wonder write yawn
        """);

    /// <summary>Words, none twice.</summary>
    public static IReadOnlyList<string> Single { get; } = [.. Nouns.Concat(Adjectives).Concat(Verbs).Distinct()];

    /// <summary>How many pairs there are.</summary>
    public static int Pairs => Adjectives.Length * Nouns.Length;

    /// <summary>A pair by its number.</summary>
    public static string Pair(int number) => $"{Adjectives[number / Nouns.Length]}-{Nouns[number % Nouns.Length]}";

    /// <summary>Different words in a random order: single ones where there are so many, else pairs.</summary>
    public static string[] Draw(int count, ref KeyedRandom random)
    {
        // All are shuffled, so that a longer list begins with the words of a shorter one.
        var isSingle = count <= Single.Count;
        int[] numbers = [.. Enumerable.Range(0, isSingle ? Single.Count : Pairs)];
        random.Shuffle(numbers.AsSpan());
        return Array.ConvertAll(numbers[..count], number => isSingle ? Single[number] : Pair(number));
    }

    private static string[] Split(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
