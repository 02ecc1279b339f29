using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions.Spec;

/// <summary>
/// A position method as users write it: <c>METHOD[:key=value,...][+MODIFIER[:...]]</c>, for example
/// <c>yarn:factor=4,original=2048</c> or <c>xpos:scale_base=512+bca:window=1024</c>. Two specs are equal when they print
/// alike.
/// </summary>
public sealed partial class PositionSpec : IEquatable<PositionSpec>
{
    internal PositionSpec(SpecPart method, IReadOnlyList<SpecPart> modifiers)
    {
        Method = method;
        // One order, so that equal plans print alike; resonance works on frequencies and must come first.
        Modifiers = [.. modifiers.OrderBy(part => PositionMethods.OrderOf((ModifierEntry)part.Entry))];
    }

    /// <summary>The method.</summary>
    public SpecPart Method { get; }

    /// <summary>The modifiers, in the registry's order.</summary>
    public IReadOnlyList<SpecPart> Modifiers { get; }

    /// <summary>Whether the checkpoint decides (<c>auto</c>).</summary>
    public bool IsAuto => Method.Entry == PositionMethods.Auto;

    /// <summary>Reads a spec; names are case-blind, and '-' and '_' count as the same.</summary>
    /// <exception cref="UserException">An unknown method, modifier or key, or a value that is not allowed.</exception>
    public static PositionSpec Parse(string text)
    {
        // A '+' inside a number (1e+6) is followed by a digit, one before a modifier by a letter.
        var parts = Plus().Split(text.Trim());
        var method = Part(text, parts[0], "method", [.. PositionMethods.All, PositionMethods.Auto]);
        var modifiers = parts.Skip(1).Select(part => Part(text, part, "modifier", PositionMethods.Modifiers)).ToArray();
        var twice = modifiers.GroupBy(part => part.Name).FirstOrDefault(group => group.Count() > 1);
        return twice is null
            ? new PositionSpec(method, modifiers)
            : throw new UserException($"position spec '{text}': the modifier {twice.Key} is given twice");
    }

    /// <summary>The same spec with every default filled in that depends on the model or the target.</summary>
    internal PositionSpec Resolve(PositionModel model, int? targetLength) =>
        new(Method.Resolve(model, targetLength), [.. Modifiers.Select(part => part.Resolve(model, targetLength))]);

    /// <summary>The canonical text, which parses to an equal spec.</summary>
    public override string ToString() => string.Join('+', Modifiers.Prepend(Method));

    /// <inheritdoc/>
    public bool Equals(PositionSpec? other) => other is not null && ToString() == other.ToString();

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PositionSpec);

    /// <inheritdoc/>
    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(ToString());

    private static SpecPart Part(string spec, string text, string kind, IReadOnlyList<SpecEntry> entries)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var name = (colon < 0 ? text : text[..colon]).Trim();
        var wanted = name.ToLowerInvariant().Replace('_', '-');
        var entry = entries.FirstOrDefault(entry => entry.Name == wanted || entry.Aliases.Contains(wanted))
            ?? throw new UserException(
                $"position spec '{spec}': unknown {kind} '{name}'{Spelling.Suggest(wanted, entries.Select(e => e.Name))}; the {kind}s are {string.Join(", ", entries.Select(e => e.Name))}");
        var values = new Dictionary<string, string>();
        foreach (var pair in colon < 0 ? [] : text[(colon + 1)..].Split(','))
        {
            var (key, value) = Pair(spec, pair, entry);
            if (!values.TryAdd(key.Name, value))
            {
                throw new UserException($"position spec '{spec}': {entry.Name} is given the key {key.Name} twice");
            }
        }

        return new SpecPart(entry, values);
    }

    private static (SpecKey Key, string Value) Pair(string spec, string pair, SpecEntry entry)
    {
        var at = pair.IndexOf('=', StringComparison.Ordinal);
        var name = (at < 0 ? pair : pair[..at]).Trim();
        var wanted = name.ToLowerInvariant().Replace('-', '_');
        var key = entry.Keys.FirstOrDefault(key => key.Name == wanted) ?? throw new UserException(
            $"position spec '{spec}': {entry.Name} has no key '{name}'{Spelling.Suggest(wanted, entry.Keys.Select(k => k.Name))}; {KeysOf(entry)}");
        var value = at < 0 ? "" : pair[(at + 1)..].Trim();
        try
        {
            return (key, key.Canonical(value));
        }
        catch (FormatException)
        {
            throw new UserException($"position spec '{spec}': {entry.Name}'s {key.Name} must be {key.Allowed}, not '{value}'");
        }
    }

    private static string KeysOf(SpecEntry entry) => entry.Keys.Count == 0
        ? "it has none"
        : $"its keys are {string.Join("; ", entry.Keys.Select(key => $"{key.Name} ({key.Allowed})"))}";

    [GeneratedRegex(@"\+(?=\s*[A-Za-z])")]
    private static partial Regex Plus();
}
