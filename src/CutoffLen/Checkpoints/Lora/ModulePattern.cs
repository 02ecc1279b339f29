using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// A regular expression of Python's re over module names, as PEFT's settings hold them. Expressions come from strangers, so
/// their length and the time of a match are limited.
/// </summary>
internal sealed class ModulePattern
{
    private const int MaxCharacters = 10_000;

    // Long beside the time for which a busy machine keeps a thread waiting.
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(5);

    private readonly string key;
    private readonly string shown;
    private readonly Regex regex;

    private ModulePattern(string key, string shown, string expression)
    {
        (this.key, this.shown) = (key, JsonFile.Show(shown));
        if (expression.Length > MaxCharacters)
        {
            throw new UserException($"{key}: {this.shown} has {expression.Length} characters; a regular expression may have {MaxCharacters}");
        }

        try
        {
            // Python spells a named group (?P<name>...), and its repetition (?P=name).
            var translated = Regex.Replace(expression.Replace("(?P<", "(?<", StringComparison.Ordinal), @"\(\?P=(\w+)\)", @"\k<$1>");
            regex = new Regex(translated, RegexOptions.CultureInvariant, MatchTimeout);
        }
        catch (ArgumentException fault)
        {
            throw new UserException($"{key}: {this.shown} is not a regular expression: {fault.Message}", fault);
        }
    }

    /// <summary>re.fullmatch: the expression is the whole name.</summary>
    /// <param name="key">The setting, for messages.</param>
    /// <param name="expression">The expression.</param>
    /// <exception cref="UserException">It is none.</exception>
    public static ModulePattern Full(string key, string expression) => new(key, expression, $@"\A(?:{expression})\z");

    /// <summary>PEFT's rule for the keys of rank_pattern and alpha_pattern (get_pattern_key): the expression is the name's end, after a dot.</summary>
    public static ModulePattern Suffix(string key, string expression) => new(key, expression, $@"\A(.*\.)?({expression})$");

    /// <summary>PEFT's rule for what modules_to_save keeps adapters from: the expression is a part between dots, or several.</summary>
    public static ModulePattern Part(string key, string expression) => new(key, expression, $@"\A(?:(^|.*\.){expression}($|\..*))");

    /// <summary>PEFT's rule for layers_pattern: the number after the expression is a layer's index.</summary>
    public static ModulePattern LayerIndex(string key, string expression) => new(key, expression, $@"\A(?:.*?\.{expression}\.(?<layer>\d+)\.)");

    /// <summary>Whether a name matches.</summary>
    public bool Matches(string name) => Match(name).Success;

    /// <summary>The layer's index that <see cref="LayerIndex"/> finds; null where there is none.</summary>
    public int? IndexIn(string name) => int.TryParse(Match(name).Groups["layer"].Value, out var index) ? index : null;

    private Match Match(string name)
    {
        try
        {
            return regex.Match(name);
        }
        catch (RegexMatchTimeoutException fault)
        {
            throw new UserException($"{key}: {shown} takes too long to match {name}; write a simpler expression", fault);
        }
    }
}
