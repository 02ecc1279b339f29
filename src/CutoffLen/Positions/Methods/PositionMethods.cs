using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// The registry of position methods and modifiers. A new method is a class with its <see cref="MethodEntry"/>, one line here,
/// and reference values in the tests. The spec grammar, `rope list`, `--rope`, config.json and the property tests read the
/// entry. Positions/README.md, "Adding a position method", is an example.
/// </summary>
public static class PositionMethods
{
    /// <summary>Every method.</summary>
    public static IReadOnlyList<MethodEntry> All { get; } =
    [
        RopeMethod.Entry,
        AbfMethod.Entry,
        LinearMethod.Entry,
        DynamicLinearMethod.Entry,
        NtkMethod.Entry,
        DynamicNtkMethod.Entry,
        NtkPartsMethod.Entry,
        DynamicNtkPartsMethod.Entry,
        NtkMixedMethod.Entry,
        YarnMethod.Entry,
        DynamicYarnMethod.Entry,
        LongRopeMethod.Entry,
        Llama3Method.Entry,
        GiraffePowerMethod.Entry,
        GiraffeTruncatedMethod.Entry,
        PRopeMethod.Entry,
        HopeMethod.Entry,
        RotaryAngleMethod.Entry,
        NopeMethod.Entry,
        NopeMethod.DropeEntry,
        XposMethod.Entry,
        ReRopeMethod.Entry,
        LeakyReRopeMethod.Entry,
        SelfExtendMethod.Entry,
        DpeMethod.Entry,
        StringMethod.Entry,
        LampeMethod.Entry,
        SharedPositionMethod.GroupedEntry,
        SharedPositionMethod.RecurrentEntry,
        DualChunkMethod.Entry,
        AlibiMethod.Entry,
        PermuteMethod.Entry,
        ClexMethod.Entry,
    ];

    /// <summary>Every modifier, in the order in which they are applied; resonance changes frequencies and must be first.</summary>
    public static IReadOnlyList<ModifierEntry> Modifiers { get; } =
        [ResonanceMethod.Entry, BlockwiseCausalMethod.Entry, LogNMethod.Entry, TemperatureMethod.Entry];

    /// <summary>Every preset.</summary>
    public static IReadOnlyList<PresetEntry> Presets { get; } =
    [
        // The authors' code leaves the queries of the first two layers unscaled: apply_eabf in GAIR-NLP/Entropy-ABF, patch/EABF.py.
        new(
            "entropy-abf", "Entropy-ABF: base 500000; queries scaled by log-n beyond 4096 tokens, but in the first two layers.", "2401.07004",
            "abf:base=500000+logn:original=4096@0:2=abf:base=500000"),
    ];

    private static SpecGrammar Grammar { get; } = new([.. All, MethodEntry.Auto], Modifiers, Presets);

    /// <summary>The spec <c>auto</c>: a checkpoint's own method.</summary>
    public static PositionSpec Auto { get; } = Parse(MethodEntry.Auto.Name);

    /// <summary>The spec that a text means; names are case-insensitive, and '-' and '_' are the same.</summary>
    /// <exception cref="UserException">An unknown method, modifier or key, or a value that is not allowed.</exception>
    public static PositionSpec Parse(string text) => Grammar.Parse(text);

    /// <summary>A spec with a modifier in every layer, its keys at their defaults where a layer does not have it.</summary>
    public static PositionSpec With(PositionSpec spec, ModifierEntry modifier) => Grammar.With(spec, modifier, isOn: true);

    /// <summary>A spec without a modifier in any layer.</summary>
    public static PositionSpec Without(PositionSpec spec, ModifierEntry modifier) => Grammar.With(spec, modifier, isOn: false);

    /// <summary>A spec with another one's modifiers and layers.</summary>
    /// <exception cref="UserException">It has one of the modifiers already, or layers with different methods.</exception>
    internal static PositionSpec Combine(PositionSpec spec, PositionSpec more) => Grammar.Combine(spec, more);
}
