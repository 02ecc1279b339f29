namespace CutoffLen.Evaluation.Measures;

/// <summary>
/// Porter's stemmer (Porter, "An algorithm for suffix stripping", Program 14.3, 1980) with the extensions of NLTK's
/// <c>PorterStemmer</c> in its default mode, NLTK_EXTENSIONS, which rouge-score uses. Rules are marked NLTK where they are not the
/// paper's. Words are lower case.
/// </summary>
public static class PorterStemmer
{
    // NLTK: irregular forms are not stemmed.
    private static readonly Dictionary<string, string> Irregular = new()
    {
        ["sky"] = "sky",
        ["skies"] = "sky",
        ["dying"] = "die",
        ["lying"] = "lie",
        ["tying"] = "tie",
        ["news"] = "news",
        ["innings"] = "inning",
        ["inning"] = "inning",
        ["outings"] = "outing",
        ["outing"] = "outing",
        ["cannings"] = "canning",
        ["canning"] = "canning",
        ["howe"] = "howe",
        ["proceed"] = "proceed",
        ["exceed"] = "exceed",
        ["succeed"] = "succeed",
    };

    private static readonly string[] Step1b = ["ed", "ing"];

    private static readonly string[] NeedE = ["at", "bl", "iz"];

    // Of a step's rules the first whose suffix fits decides, whether its condition holds or not. "bli" is Porter's own later form
    // of the paper's "abli"; "fulli" is NLTK's.
    private static readonly (string Suffix, string Replacement)[] Step2 =
    [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"),
        ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
        ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
    ];

    private static readonly (string Suffix, string Replacement)[] Step3 =
        [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

    private static readonly string[] Step4 =
    [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
    ];

    /// <summary>The stem of a word of lower case.</summary>
    public static string Stem(string word)
    {
        if (Irregular.TryGetValue(word, out var stem))
        {
            return stem;
        }

        return word.Length <= 2 ? word : DropEnd(Shorten(Replace(Compound(EndInI(PastAndIng(Plural(word)))), Step3)));
    }

    /// <summary>Step 1a: caresses to caress, ponies to poni, cats to cat; NLTK: dies to die.</summary>
    private static string Plural(string word) =>
        word.EndsWith("ies", StringComparison.Ordinal) ? word.Length == 4 ? word[..^1] : word[..^2]
        : word.EndsWith("sses", StringComparison.Ordinal) ? word[..^2]
        : word.EndsWith('s') && !word.EndsWith("ss", StringComparison.Ordinal) ? word[..^1]
        : word;

    /// <summary>Step 1b: agreed to agree, plastered to plaster, hopping to hop; NLTK: died to die, spied to spi.</summary>
    private static string PastAndIng(string word)
    {
        if (word.EndsWith("ied", StringComparison.Ordinal))
        {
            return word.Length == 4 ? word[..^1] : word[..^2];
        }

        if (word.EndsWith("eed", StringComparison.Ordinal))
        {
            return Measure(word[..^3]) > 0 ? word[..^1] : word;
        }

        var suffix = Step1b.FirstOrDefault(end => word.EndsWith(end, StringComparison.Ordinal) && HasVowel(word[..^end.Length]));
        return suffix is null ? word : Repair(word[..^suffix.Length]);
    }

    private static string Repair(string stem)
    {
        if (NeedE.Any(end => stem.EndsWith(end, StringComparison.Ordinal)))
        {
            return stem + "e";
        }

        if (stem.Length >= 2 && stem[^1] == stem[^2] && IsConsonant(stem, stem.Length - 1))
        {
            return stem[^1] is 'l' or 's' or 'z' ? stem : stem[..^1];
        }

        return Measure(stem) == 1 && EndsCvc(stem) ? stem + "e" : stem;
    }

    /// <summary>Step 1c: happy to happi. NLTK: only after a consonant that does not begin the word, so enjoy stays.</summary>
    private static string EndInI(string word) =>
        word.EndsWith('y') && word.Length > 2 && IsConsonant(word, word.Length - 2) ? word[..^1] + "i" : word;

    /// <summary>Step 2: relational to relate, radicalli to radical. NLTK: a word without alli goes through the step again; geologi to geolog.</summary>
    private static string Compound(string word)
    {
        if (word.EndsWith("alli", StringComparison.Ordinal) && Measure(word[..^4]) > 0)
        {
            return Compound(word[..^2]);
        }

        return word.EndsWith("logi", StringComparison.Ordinal)
            ? Measure(word[..^3]) > 0 ? word[..^1] : word
            : Replace(word, Step2);
    }

    /// <summary>Replaces the first suffix that fits, where what stands before it has a vowel and a consonant after it.</summary>
    private static string Replace(string word, (string Suffix, string Replacement)[] rules)
    {
        foreach (var (suffix, replacement) in rules)
        {
            if (word.EndsWith(suffix, StringComparison.Ordinal))
            {
                return Measure(word[..^suffix.Length]) > 0 ? word[..^suffix.Length] + replacement : word;
            }
        }

        return word;
    }

    /// <summary>Step 4: revival to reviv, adoption to adopt.</summary>
    private static string Shorten(string word)
    {
        if (Step4.FirstOrDefault(end => word.EndsWith(end, StringComparison.Ordinal)) is not { } suffix)
        {
            return word;
        }

        var stem = word[..^suffix.Length];
        return Measure(stem) > 1 && (suffix != "ion" || stem[^1] is 's' or 't') ? stem : word;
    }

    /// <summary>Steps 5a and 5b: probate to probat, cease to ceas, controll to control.</summary>
    private static string DropEnd(string word)
    {
        if (word.EndsWith('e') && Measure(word[..^1]) is var measure && (measure > 1 || (measure == 1 && !EndsCvc(word[..^1]))))
        {
            word = word[..^1];
        }

        return word.EndsWith("ll", StringComparison.Ordinal) && Measure(word[..^1]) > 1 ? word[..^1] : word;
    }

    /// <summary>A consonant is a letter other than a, e, i, o, u, and other than y after a consonant.</summary>
    private static bool IsConsonant(string word, int at) =>
        word[at] is not ('a' or 'e' or 'i' or 'o' or 'u') && (word[at] != 'y' || at == 0 || !IsConsonant(word, at - 1));

    private static bool HasVowel(string word) => Enumerable.Range(0, word.Length).Any(at => !IsConsonant(word, at));

    /// <summary>The paper's measure m: how often a consonant follows a vowel.</summary>
    private static int Measure(string stem) => Enumerable.Range(1, Math.Max(0, stem.Length - 1)).Count(at => IsConsonant(stem, at) && !IsConsonant(stem, at - 1));

    /// <summary>Consonant, vowel, and a consonant other than w, x, y. NLTK: or vowel and consonant alone.</summary>
    private static bool EndsCvc(string word) => word.Length >= 3
        ? IsConsonant(word, word.Length - 3) && !IsConsonant(word, word.Length - 2) && IsConsonant(word, word.Length - 1) && word[^1] is not ('w' or 'x' or 'y')
        : word.Length == 2 && !IsConsonant(word, 0) && IsConsonant(word, 1);
}
