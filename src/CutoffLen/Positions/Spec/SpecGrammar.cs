using System.Text.RegularExpressions;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>Parses specs of a registry's methods and modifiers.</summary>
/// <param name="methods">Methods, in the order in which errors list them.</param>
/// <param name="modifiers">Modifiers, in the order in which they are applied.</param>
/// <param name="presets">Names of whole specs.</param>
internal sealed partial class SpecGrammar(
    IReadOnlyList<MethodEntry> methods, IReadOnlyList<ModifierEntry> modifiers, IReadOnlyList<PresetEntry> presets)
{
    /// <summary>The spec that a text means; names are case-insensitive, and '-' and '_' are the same.</summary>
    /// <exception cref="UserException">An unknown method, modifier or key, or a value that is not allowed.</exception>
    public PositionSpec Parse(string text) => Named(text, () =>
    {
        if (presets.FirstOrDefault(preset => preset.Name == Canonical(text.Split('@', ':', '+')[0])) is { } named)
        {
            return Canonical(text) == named.Name ? Parse(named.Spec) : throw new UserException($"{named.Name} is the whole spec {named.Spec}; write that to change it");
        }

        var parts = text.Trim().Split('@');
        var others = OfLayers(parts[0]);
        return parts.Length == 1 ? others : new PositionSpec(others.Method, others.Modifiers, [.. parts.Skip(1).Select(Layers)]);
    });

    /// <summary>A spec with more modifiers, and layers with another method.</summary>
    /// <exception cref="UserException">It has one of the modifiers already, or layers with different methods.</exception>
    public PositionSpec Combine(PositionSpec spec, PositionSpec more) => Named($"{spec}{more.ToString()[more.Method.Name.Length..]}", () =>
        spec.Layers.Count > 0 && (more.Modifiers.Count > 0 || more.Layers.Count > 0)
            ? throw new UserException($"{more.Method.Name} is '{spec}', whose layers differ; give the whole spec")
            : new PositionSpec(spec.Method, Ordered(spec.Modifiers.Concat(more.Modifiers)), [.. spec.Layers, .. more.Layers]));

    /// <summary>A spec with a modifier, or without it, in every layer.</summary>
    public PositionSpec With(PositionSpec spec, ModifierEntry modifier, bool isOn)
    {
        var given = isOn && spec.Modifiers.All(part => part.Entry != modifier)
            ? spec.Modifiers.Append(new SpecPart(modifier, new Dictionary<string, object>()))
            : spec.Modifiers.Where(part => isOn || part.Entry != modifier);
        return new PositionSpec(spec.Method, Ordered(given), [.. spec.Layers.Select(layers => layers with { Spec = With(layers.Spec, modifier, isOn) })]);
    }

    private LayerSpec Layers(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        if (at < 0)
        {
            throw new UserException($"'@{text}' names no method; write @LAYERS=SPEC");
        }

        var spec = OfLayers(text[(at + 1)..].Trim());
        return spec.IsAuto
            ? throw new UserException($"'@{text}': {spec.Method.Name} is the method of a whole checkpoint, so it comes first")
            : new LayerSpec(LayerSelection.Parse(text[..at].Trim()), spec);
    }

    private PositionSpec OfLayers(string text)
    {
        // A '+' inside a number (1e+6) is followed by a digit, one before a modifier by a letter.
        var parts = Plus().Split(text);
        return new PositionSpec(Part(parts[0], "method", methods), Ordered(parts.Skip(1).Select(part => Part(part, "modifier", modifiers))));
    }

    /// <summary>Names the spec in an error's message.</summary>
    private static PositionSpec Named(string text, Func<PositionSpec> make)
    {
        try
        {
            return make();
        }
        catch (UserException problem)
        {
            throw new UserException($"position spec '{text}': {problem.Message}", problem);
        }
    }

    // In the order of the registry, so that equal specs print alike.
    private IReadOnlyList<SpecPart> Ordered(IEnumerable<SpecPart> given)
    {
        var parts = given.ToLookup(part => part.Entry);
        return parts.FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new UserException($"the modifier {twice.Key.Name} is given twice")
            : [.. modifiers.SelectMany(entry => parts[entry])];
    }

    private static string Canonical(string name) => name.Trim().ToLowerInvariant().Replace('_', '-');

    private static SpecPart Part(string text, string kind, IReadOnlyList<SpecEntry> entries)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var name = (colon < 0 ? text : text[..colon]).Trim();
        var wanted = Canonical(name);
        var entry = entries.FirstOrDefault(entry => entry.Name == wanted || entry.Aliases.Contains(wanted))
            ?? throw new UserException(
                $"unknown {kind} '{name}'{Spelling.Suggest(wanted, entries.Select(e => e.Name))}; the {kind}s are {string.Join(", ", entries.Select(e => e.Name))}");
        var values = new Dictionary<string, object>();
        foreach (var pair in colon < 0 ? [] : text[(colon + 1)..].Split(','))
        {
            var (key, value) = Pair(pair, entry);
            if (!values.TryAdd(key, value))
            {
                throw new UserException($"{entry.Name} is given the key {key} twice");
            }
        }

        return new SpecPart(entry, values);
    }

    private static (string Key, object Value) Pair(string pair, SpecEntry entry)
    {
        var at = pair.IndexOf('=', StringComparison.Ordinal);
        var name = (at < 0 ? pair : pair[..at]).Trim();
        var wanted = name.ToLowerInvariant().Replace('-', '_');
        var key = entry.Keys.FirstOrDefault(key => key.Name == wanted) ?? throw new UserException(
            $"{entry.Name} has no key '{name}'{Spelling.Suggest(wanted, entry.Keys.Select(k => k.Name))}; {KeysOf(entry)}");
        var value = at < 0 ? "" : pair[(at + 1)..].Trim();
        return (key.Name, key.Parse(value) ?? throw entry.NotAllowed(key, value));
    }

    private static string KeysOf(SpecEntry entry) => entry.Keys.Count == 0
        ? "it has none"
        : $"its keys are {string.Join("; ", entry.Keys.Select(key => $"{key.Name} ({key.Allowed})"))}";

    [GeneratedRegex(@"\+(?=\s*[A-Za-z])")]
    private static partial Regex Plus();
}
