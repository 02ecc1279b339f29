using System.Text.RegularExpressions;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>Parses specs of a registry's methods and modifiers.</summary>
/// <param name="methods">Methods, in the order in which errors list them.</param>
/// <param name="modifiers">Modifiers, in the order in which they are applied.</param>
internal sealed partial class SpecGrammar(IReadOnlyList<MethodEntry> methods, IReadOnlyList<ModifierEntry> modifiers)
{
    /// <summary>The spec that a text means; names are case-insensitive, and '-' and '_' are the same.</summary>
    /// <exception cref="UserException">An unknown method, modifier or key, or a value that is not allowed.</exception>
    public PositionSpec Parse(string text) => Named(text, () =>
    {
        // A '+' inside a number (1e+6) is followed by a digit, one before a modifier by a letter.
        var parts = Plus().Split(text.Trim());
        return Ordered(Part(parts[0], "method", methods), parts.Skip(1).Select(part => Part(part, "modifier", modifiers)));
    });

    /// <summary>A spec with more modifiers.</summary>
    /// <exception cref="UserException">It has one of them already.</exception>
    public PositionSpec Combine(PositionSpec spec, IReadOnlyList<SpecPart> more) =>
        Named(string.Join('+', more.Prepend<object>(spec)), () => Ordered(spec.Method, spec.Modifiers.Concat(more)));

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
    private PositionSpec Ordered(SpecPart method, IEnumerable<SpecPart> given)
    {
        var parts = given.ToLookup(part => part.Entry);
        return parts.FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new UserException($"the modifier {twice.Key.Name} is given twice")
            : new PositionSpec(method, [.. modifiers.SelectMany(entry => parts[entry])]);
    }

    private static SpecPart Part(string text, string kind, IReadOnlyList<SpecEntry> entries)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var name = (colon < 0 ? text : text[..colon]).Trim();
        var wanted = name.ToLowerInvariant().Replace('_', '-');
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
