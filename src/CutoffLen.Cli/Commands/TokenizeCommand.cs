using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff tokenize</c>: text to ids with a checkpoint's tokenizer, and back.</summary>
internal static class TokenizeCommand
{
    private static readonly Argument<string?> Text = new("TEXT")
    {
        Description = "The text, or the ids to decode; standard input when neither this nor --file is given.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> FromFile = new("--file")
    {
        Description = "Read the text, or the ids, from this file.",
        HelpName = "FILE",
    };

    private static readonly Option<bool> Decode = CommonOptions.Flag("Turn ids into text.", "--decode");

    private static readonly Option<bool> NoSpecial = CommonOptions.Flag("Add no BOS or EOS; when decoding, leave special tokens out.", "--no-special");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("tokenize", "Turn text into the checkpoint's token ids, or ids into text.")
        {
            CommonOptions.Model,
            Text,
            FromFile,
            Decode,
            NoSpecial,
            CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var (input, source) = Input(parsed);
            var tokenizer = CheckpointTokenizer.Open(parsed.Hub(stop).Model(parsed.GetValue(CommonOptions.Model)!, weights: false));
            if (parsed.GetValue(Decode))
            {
                var text = tokenizer.Decode(TokenIds.Parse(input, source), parsed.GetValue(NoSpecial));
                Print(parsed, new { Text = text }, text);
            }
            else
            {
                var ids = tokenizer.Encode(input, addSpecial: !parsed.GetValue(NoSpecial));
                Print(parsed, new { Ids = ids }, string.Join(' ', ids));
            }
        });

    private static (string Input, string Source) Input(ParseResult parsed) => (parsed.GetValue(Text), parsed.GetValue(FromFile)) switch
    {
        ({ } text, null) => (text, "TEXT"),
        (null, { } path) => (Utf8Text.Read(path), path),
        (null, null) => (Utf8Text.ReadStandardInput(), "standard input"),
        _ => throw new UserException("TEXT and --file are both given; give one"),
    };

    private static void Print<T>(ParseResult parsed, T result, string text)
    {
        if (parsed.GetValue(CommonOptions.Json))
        {
            parsed.Terminal().PrintJson(result);
        }
        else
        {
            parsed.Terminal().Output.WriteLine(text);
        }
    }
}
